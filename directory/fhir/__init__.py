"""The directory as FHIR R4 has it, in the manner of the national one (MSS-123): values to JSON and back, no network, no clock."""
