"""What is served over HTTP: one application, assembled from parts, behind two doors."""
