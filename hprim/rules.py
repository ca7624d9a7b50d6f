"""The catalogue of medical rules: what each says in French and English, how grave it is by default, what to do about it.

Promise: every problem of a :class:`hprim.model.Report` comes from one line here; :mod:`hprim.findings` says how grave it is in
one deployment.
Sources: H.PR.I.M. Médecins 3.0 and public implementations (APN, FMF, NAU, MSE, HTL), CNAM (CNM), ANS (CDA, LPS, MOS), ECO = Référentiel
socle MSSanté 2; D = our own design.
"""

from __future__ import annotations

from collections.abc import Mapping

from hprim.model import Rule, Severity

N, W, R, S = Severity.NOTE, Severity.WARN, Severity.REFUSE, Severity.SAFETY


def _r(name: str, severity: Severity, fr: str, en: str, source: str, remedy_fr: str = "", remedy_en: str = "") -> Rule:
    return Rule(name, severity, fr, en, source, remedy_fr, remedy_en)


RULES: tuple[Rule, ...] = (
    # profile requires an HPRIM header and none was found in any text part
    _r(
        "HID-001",
        R,
        "Aucun en-tête HPRIM trouvé : les 12 premières lignes doivent identifier le patient (au minimum nom, prénom, date de naissance).",
        "No HPRIM header found: the first 12 lines must identify the patient (at least surname, first name, birth date).",
        "APN",
        "Placez l'en-tête en tête du texte du message.",
        "Put the header at the top of the message text.",
    ),
    # header has fewer than 12 lines, or a line is missing inside it
    _r(
        "HID-002",
        R,
        "En-tête HPRIM incomplet : {count} lignes au lieu de 12 ; la ligne {line} semble manquer. Laissez une ligne vide si l'information est inconnue.",
        "Incomplete HPRIM header: {count} lines instead of 12; line {line} seems to be missing. Leave a blank line when unknown.",
        "FMF, BLU",
        "Corrigez l'en-tête puis renvoyez le message.",
        "Correct the header and send again.",
    ),
    # file is empty or has fewer than 12 bytes of text
    _r(
        "HID-003",
        R,
        "Le fichier {name} est vide.",
        "File {name} is empty.",
        "D",
        "Joignez de nouveau le document.",
        "Attach the document again.",
    ),
    # header found at an offset other than 0
    _r(
        "HID-004",
        W,
        "L'en-tête HPRIM commence à la ligne {line} : du texte le précède (ou une ligne manque). De nombreux logiciels ne le reconnaîtront pas.",
        "The HPRIM header starts at line {line}: text comes before it (or a line is missing). Many programs will not recognise it.",
        "NAU",
    ),
    # 13 header lines (an extra blank or free line)
    _r(
        "HID-005",
        N,
        "En-tête de 13 lignes : accepté, la 13e ligne est ignorée.",
        "13-line header: accepted, line 13 is ignored.",
        "BLU, MB",
    ),
    # header only exists in an HTML part
    _r(
        "HID-006",
        W,
        "L'en-tête HPRIM est dans un message HTML : envoyez-le en texte brut pour permettre l'intégration automatique.",
        "The HPRIM header is inside an HTML mail: send plain text so that it can be imported.",
        "APN",
    ),
    # PDF attached, no header, no CDA
    _r(
        "HID-007",
        W,
        "Document PDF sans en-tête HPRIM ni document CDA : le destinataire devra le classer à la main.",
        "PDF without HPRIM header or CDA document: the recipient will have to file it by hand.",
        "APN",
    ),
    # header line longer than 80 columns (W above 255)
    _r(
        "HID-008",
        N,
        "La ligne {line} de l'en-tête dépasse {limit} caractères : elle peut être tronquée.",
        "Header line {line} exceeds {limit} characters and may be truncated.",
        "HTL",
    ),
    # encrypted Apicrypt content, not inspected
    _r(
        "HID-009",
        N,
        "Contenu chiffré Apicrypt : l'identité du patient n'a pas été contrôlée.",
        "Apicrypt-encrypted content: patient identity was not checked.",
        "MSE, APC",
    ),
    # 'FIN' or 'FINFICHIER' missing
    _r(
        "HID-010",
        W,
        "Balise de fin {tag} absente : ajoutez ****FIN**** puis ****FINFICHIER**** à la fin du texte.",
        "End tag {tag} missing: add ****FIN**** then ****FINFICHIER**** at the end.",
        "FMF",
    ),
    # several headers for different patients in one message
    _r(
        "HID-011",
        S,
        "Ce message contient des données de {count} patients différents : un seul patient par message.",
        "This message holds data of {count} different patients: one patient per message.",
        "RF2, NAU",
        "Envoyez un message séparé pour chaque patient.",
        "Send a separate message for each patient.",
    ),
    # tags in the wrong order or malformed
    _r(
        "HID-012",
        W,
        "Balise mal formée ou mal placée ligne {line} : « {text} ».",
        'Malformed or misplaced tag on line {line}: "{text}".',
        "FMF, BLU",
    ),
    # header lines quoted with '>' (reply/forward)
    _r(
        "HID-013",
        W,
        "L'en-tête HPRIM est cité (lignes débutant par « > ») : transférez le document d'origine.",
        'The HPRIM header is quoted (lines starting with ">"): forward the original document.',
        "D",
    ),
    # text after 'FINFICHIER'
    _r(
        "HID-014",
        W,
        "Du texte suit ****FINFICHIER**** : il peut ne pas être lu par le destinataire.",
        "Text after ****FINFICHIER****: the recipient may not see it.",
        "FMF",
    ),
    # 'LAB' without RES, or RES without 'LAB'
    _r("HID-015", N, "Partie biologie incomplète : {detail}.", "Incomplete laboratory part: {detail}.", "FMF, HTL"),
    # RES line with fewer than 4 or more than 14 fields
    _r(
        "HID-016",
        W,
        "Ligne {line} : résultat codé mal formé ({count} champs).",
        "Line {line}: malformed coded result ({count} fields).",
        "FMF",
    ),
    # the file is HPRIM Santé / HPRIM XML / HL7, not Médecins
    _r(
        "HID-017",
        N,
        "Format {format} détecté (et non HPRIM Médecins).",
        "{format} detected (not HPRIM Médecins).",
        "MDX",
    ),
    # mixed or CR-only line ends
    _r(
        "HID-018",
        N,
        "Fins de ligne {kind} : converties pour la lecture.",
        "{kind} line ends: converted for reading.",
        "FMF, HTL",
    ),
    # NUL or control characters (other than TAB, CR, LF, FF) in the header
    _r(
        "HID-019",
        R,
        "Caractères de contrôle dans l'en-tête, ligne {line}.",
        "Control characters in the header, line {line}.",
        "D",
        "Produisez de nouveau le fichier depuis le logiciel.",
        "Produce the file again from your software.",
    ),
    # birth date missing
    _r(
        "HID-020",
        R,
        "Date de naissance absente{where}.",
        "Birth date missing{where}.",
        "APN, FMF",
        "Complétez la date de naissance dans votre logiciel (ligne 7 d'un en-tête HPRIM).",
        "Fill in the birth date in your software (line 7 of an HPRIM header).",
    ),
    # birth date not a date
    _r(
        "HID-021",
        R,
        "Date de naissance illisible : « {value} ». Format attendu {form}.",
        'Unreadable birth date: "{value}". Expected {form}.',
        "FMF",
        "Corrigez la date de naissance (ligne 7 d'un en-tête HPRIM, JJ/MM/AAAA).",
        "Correct the birth date (line 7 of an HPRIM header, DD/MM/YYYY).",
    ),
    # two-digit year, or non-standard but readable form
    _r(
        "HID-022",
        W,
        "Date « {value} » comprise comme {date} : écrivez {form}.",
        'Date "{value}" read as {date}: write {form}.',
        "FMF, NAU",
    ),
    # birth date in the future
    _r(
        "HID-023",
        R,
        "La date de naissance {date} est dans le futur.",
        "Birth date {date} is in the future.",
        "HTL",
        "Corrigez la date de naissance.",
        "Correct the birth date.",
    ),
    # age over 120
    _r(
        "HID-024",
        W,
        "La date de naissance {date} donne un âge de {age} ans : vérifiez.",
        "Birth date {date} gives an age of {age}: please check.",
        "D",
    ),
    # incomplete or lunar date
    _r(
        "HID-025",
        N,
        "Date de naissance incomplète ou « lunaire » ({value}) : comparée sur l'année seulement.",
        'Incomplete or "lunar" birth date ({value}): compared on the year only.',
        "NAU, GIE",
    ),
    # surname missing
    _r(
        "HID-026",
        R,
        "Nom du patient absent{where}.",
        "Patient's surname missing{where}.",
        "APN, FMF",
        "Complétez le nom du patient (ligne 2 d'un en-tête HPRIM).",
        "Fill in the patient's surname (line 2 of an HPRIM header).",
    ),
    # first name missing
    _r(
        "HID-027",
        R,
        "Prénom du patient absent{where}.",
        "Patient's first name missing{where}.",
        "APN, FMF",
        "Complétez le prénom du patient (ligne 3 d'un en-tête HPRIM).",
        "Fill in the patient's first name (line 3 of an HPRIM header).",
    ),
    # surname/first name with digits or signs other than letters, space, '-', '''
    _r("HID-028", W, "Caractère inattendu « {sign} » dans {field}.", 'Unexpected character "{sign}" in {field}.', "D"),
    # placeholder: '.', 'X', 'XX', 'INCONNU', 'SANS NOM', 'TEST', 'PATIENT', 'NOM' (W (R! if the whole name))
    _r(
        "HID-029",
        W,
        "{field} semble être une valeur de remplissage (« {value} »).",
        '{field} looks like a placeholder ("{value}").',
        "MSE, D",
        "Indiquez le vrai nom du patient.",
        "Give the patient's real name.",
    ),
    # surname and first name swapped (other source), or civility in a name field
    _r(
        "HID-030",
        W,
        "Nom et prénom semblent inversés, ou contiennent une civilité : ligne 2 = nom, ligne 3 = prénom.",
        "Surname and first name look swapped, or hold a civility: line 2 = surname, line 3 = first name.",
        "D",
    ),
    # charset guessed
    _r(
        "HID-031",
        N,
        "Jeu de caractères déduit : {charset} (annoncé : {declared}). Préférez UTF-8 ou ISO-8859-1 déclaré.",
        "Charset inferred: {charset} (declared: {declared}).",
        "MSE, HTL",
    ),
    # surname or first name not decodable, U+FFFD or mojibake pattern ('Ã' + char, box drawing)
    _r(
        "HID-032",
        R,
        "Le {field} contient des caractères illisibles (« {value} ») : problème d'encodage à l'émission.",
        '{field} contains unreadable characters ("{value}"): encoding problem at the sender\'s.',
        "APN",
        "Envoyez le texte en UTF-8 ou en ISO-8859-1.",
        "Send the text in UTF-8 or ISO-8859-1.",
    ),
    # surname or first name longer than 50 (Médecins), 24 (Santé, old), 100 (INS)
    _r(
        "HID-033",
        W,
        "{field} est trop long ({count} caractères) : il sera tronqué par certains logiciels.",
        "{field} is too long ({count} characters): some programs will truncate it.",
        "MSE, LIB",
    ),
    # birth date is 1 January or 31 December, or equals the file date
    _r(
        "HID-034",
        N,
        "Date de naissance {date} : valeur par défaut possible, vérifiez.",
        "Birth date {date}: possibly a default value, please check.",
        "LEG, GIE",
    ),
    # line 10 (date) missing or unreadable
    _r(
        "HID-035",
        W,
        "Date du dossier absente ou illisible (ligne 10) : certains logiciels refusent l'en-tête.",
        "File date missing or unreadable (line 10): some programs refuse the header.",
        "NAU, MSE",
    ),
    # file date before birth date
    _r(
        "HID-036",
        W,
        "Le dossier ({first}) est antérieur à la naissance ({second}).",
        "File date ({first}) precedes the birth date ({second}).",
        "HTL",
    ),
    # file date more than 1 day in the future
    _r("HID-037", W, "La date du dossier {date} est dans le futur.", "File date {date} is in the future.", "D"),
    # patient code (line 1) missing
    _r("HID-038", N, "Code patient absent (ligne 1).", "Patient code missing (line 1).", "MSE"),
    # line 12 receiver label does not resemble any recipient of the mail
    _r(
        "HID-039",
        N,
        "Le destinataire indiqué ligne 12 ne correspond à aucun destinataire du message.",
        "The receiver on line 12 matches no recipient of the mail.",
        "MSE, D",
    ),
    # NIR absent from line 8
    _r("HID-040", N, "Numéro de sécurité sociale absent (ligne 8).", "Social security number missing (line 8).", "FMF"),
    # length (without spaces and dots) not 13 or 15
    _r(
        "HID-041",
        W,
        "Numéro de sécurité sociale : {count} caractères au lieu de 13 ou 15.",
        "Social security number: {count} characters instead of 13 or 15.",
        "CNM",
    ),
    # forbidden characters, month 00 or 13-19 (21-29, 43-49: note), sex digit 0/9, commune or order 000
    _r(
        "HID-042",
        W,
        "Numéro de sécurité sociale mal formé ({detail}).",
        "Malformed social security number ({detail}).",
        "CNM",
    ),
    # key wrong
    _r(
        "HID-043",
        W,
        "Clé du numéro de sécurité sociale incorrecte.",
        "Wrong control key in the social security number.",
        "CNM, STD, GIE",
    ),
    # NIR sex differs from a stated sex
    _r(
        "HID-044",
        W,
        "Le sexe indiqué par le numéro de sécurité sociale ne correspond pas au document.",
        "The sex in the social security number does not match the document.",
        "CNM",
    ),
    # NIR year/month differs from the birth date (W (N if lunar))
    _r(
        "HID-045",
        W,
        "L'année ou le mois du numéro de sécurité sociale ne correspond pas à la date de naissance.",
        "Year or month in the social security number does not match the birth date.",
        "CNM",
    ),
    # number starting 3, 4, 7 or 8 with NIR shape
    _r("HID-046", N, "Numéro d'attente ou provisoire.", "Waiting or provisional number.", "HCP, MEM"),
    # NNP/MIG/agricultural provisional shape: no key to check
    _r(
        "HID-047",
        N,
        "Numéro provisoire ({kind}) : pas de clé à contrôler.",
        "Provisional number ({kind}): no key to check.",
        "CNM, GIE",
    ),
    # differs from the INS or the birth date of a young patient: probably the insured parent's
    _r(
        "HID-048",
        N,
        "Le numéro est probablement celui de l'assuré (parent) et non celui du patient.",
        "The number is probably the insured parent's, not the patient's.",
        "IDN",
    ),
    # birth place in NIR and COG code differ
    _r(
        "HID-049",
        N,
        "Lieu de naissance différent entre le matricule et le code INSEE.",
        "Birth place differs between the number and the INSEE code.",
        "D",
    ),
    # INS-typed id not 15 characters or key wrong
    _r(
        "HID-050",
        R,
        "Matricule INS invalide (longueur ou clé).",
        "Invalid INS number (length or key).",
        "MOS, HCP",
        "Récupérez de nouveau l'INS par le téléservice INSi.",
        "Fetch the INS again from the INSi service.",
    ),
    # id labelled INS (PID-3.5 'INS', or a 15-character number in an INS place) with an OID other than '.8 .9 .10 .11';
    # '.13/.14' = social security number, not INS
    _r(
        "HID-051",
        R,
        "OID inconnu pour un matricule INS : {oid}.",
        "Unknown OID for an INS number: {oid}.",
        "CDA",
        "Utilisez l'OID de l'INS (1.2.250.1.213.1.4.8 ou .9).",
        "Use the OID of the INS (1.2.250.1.213.1.4.8 or .9).",
    ),
    # OID '.10' or '.11' in production (R! (production) / N (test))
    _r(
        "HID-052",
        S,
        "Identité de test ou de démonstration (OID {oid}) dans un échange réel.",
        "Test or demonstration identity (OID {oid}) in a live exchange.",
        "CDA, FRC",
        "N'envoyez que des identités réelles dans l'espace de production.",
        "Send only real identities in production.",
    ),
    # INS id present, a strict trait missing (R if announced qualified, else W)
    _r(
        "HID-053",
        W,
        "INS incomplète : il manque {missing}. Le destinataire ne pourra pas intégrer le document (erreur 905).",
        "Incomplete INS: {missing} missing. The recipient cannot import the document (error 905).",
        "CDA, LPS",
        "Complétez l'identité du patient dans votre logiciel.",
        "Complete the patient's identity in your software.",
    ),
    # two different INS numbers of one OID in one document
    _r(
        "HID-054",
        S,
        "Deux matricules INS différents dans le même document.",
        "Two different INS numbers in one document.",
        "D",
        "Vérifiez le patient puis régénérez le document.",
        "Check the patient and produce the document again.",
    ),
    # NIA ('.9')
    _r("HID-055", N, "Matricule provisoire (NIA).", "Provisional number (NIA).", "MOS"),
    # obsolete INS-C / INS-A
    _r(
        "HID-056",
        W,
        "Ancien identifiant INS-C : à remplacer par le matricule INS.",
        "Obsolete INS-C identifier: use the INS number.",
        "IDN",
    ),
    # CDA without INS
    _r(
        "HID-057",
        W,
        "Document sans INS : intégration automatique impossible (erreur 903).",
        "Document without INS: cannot be imported automatically (error 903).",
        "LPS",
    ),
    # 'X-MSS-INS: O' but no qualified INS (OID not '.8'/'.9' production, or a trait missing)
    _r(
        "HID-058",
        R,
        "L'en-tête X-MSS-INS annonce une INS qualifiée que le document ne contient pas.",
        "Header X-MSS-INS announces a qualified INS that the document does not hold.",
        "RF2, DVB",
        "Régénérez le message, ou annoncez X-MSS-INS: N.",
        "Produce the message again, or announce X-MSS-INS: N.",
    ),
    # 'X-MSS-INS' absent or 'N' although the CDA holds a full INS
    _r("HID-059", W, "En-tête X-MSS-INS absent ou incohérent.", "X-MSS-INS header missing or inconsistent.", "RF2"),
    # zero or several 'recordTarget' / 'patientRole'
    _r(
        "HID-060",
        R,
        "Le document CDA doit désigner un patient et un seul.",
        "The CDA document must have exactly one patient.",
        "CDA",
        "Régénérez le document pour un seul patient.",
        "Produce the document again for one patient.",
    ),
    # patient id with nullFlavor, or without root/extension
    _r(
        "HID-061",
        R,
        "Identifiant patient absent ou nul dans le CDA.",
        "Patient identifier missing or null in the CDA.",
        "CDA",
        "Complétez l'identifiant du patient.",
        "Complete the patient's identifier.",
    ),
    # 'patient/name' absent or repeated
    _r(
        "HID-062",
        R,
        "Nom du patient absent ou répété dans le CDA.",
        "Patient name missing or repeated in the CDA.",
        "CDA",
        "Complétez le nom du patient.",
        "Complete the patient's name.",
    ),
    # 'family' without qualifier, or qualifier not BR/CL (SP tolerated up to 2022 templates) (W (R with INS))
    _r(
        "HID-063",
        W,
        "Nom sans qualificatif valide (BR, CL) dans le CDA.",
        "Surname without a valid qualifier (BR, CL) in the CDA.",
        "CDA",
    ),
    # 'given' qualifier other than BR/CL
    _r("HID-064", W, "Qualificatif de prénom invalide dans le CDA.", "Invalid first name qualifier in the CDA.", "CDA"),
    # 'birthTime' absent, or value not 4-14 digits
    _r(
        "HID-065",
        R,
        "Date de naissance absente ou mal formée dans le CDA.",
        "Birth date missing or malformed in the CDA.",
        "CDA",
        "Complétez la date de naissance (AAAAMMJJ).",
        "Complete the birth date (YYYYMMDD).",
    ),
    # gender code not M/F/UN; with INS not M/F (R with INS, else W)
    _r(
        "HID-066",
        W,
        "Sexe absent ou invalide dans le CDA ({value}).",
        "Sex missing or invalid in the CDA ({value}).",
        "CDA, MOS",
        "Indiquez M ou F.",
        "Give M or F.",
    ),
    # birth place county not a COG code (5 characters)
    _r(
        "HID-067",
        W,
        "Code INSEE du lieu de naissance invalide : {value} (un code postal ?).",
        "Invalid INSEE birth place code: {value} (a postcode?).",
        "CDA, MOS",
    ),
    # first prénom (BR) is no prefix of the list of prénoms
    _r(
        "HID-068",
        W,
        "Le premier prénom ne correspond pas au début de la liste des prénoms.",
        "The first name does not match the start of the list of names.",
        "HCP",
    ),
    # race, religion or ethnic group present
    _r(
        "HID-069",
        R,
        "Donnée interdite (origine, religion) dans l'en-tête CDA.",
        "Forbidden data (race, religion) in the CDA header.",
        "CDA",
        "Retirez cette donnée de l'en-tête.",
        "Remove this data from the header.",
    ),
    # surname disagrees between {a} and {b}
    _r(
        "HID-070",
        S,
        "Le nom du patient diffère entre {a} et {b} : vérifiez le patient avant l'envoi.",
        "Patient's surname differs between {a} and {b}: check the patient before sending.",
        "D, LPS 904",
        "Ouvrez le dossier du patient et régénérez le message.",
        "Open the patient's record and produce the message again.",
    ),
    # first name disagrees
    _r(
        "HID-071",
        S,
        "Le prénom du patient diffère entre {a} et {b}.",
        "Patient's first name differs between {a} and {b}.",
        "D",
        "Vérifiez le patient avant l'envoi.",
        "Check the patient before sending.",
    ),
    # birth date disagrees
    _r(
        "HID-072",
        S,
        "La date de naissance diffère entre {a} et {b}{hint}.",
        "Birth date differs between {a} and {b}{hint}.",
        "D",
        "Vérifiez le patient avant l'envoi.",
        "Check the patient before sending.",
    ),
    # sex disagrees (R with INS, else W)
    _r(
        "HID-073",
        W,
        "Le sexe diffère entre {a} et {b}.",
        "Sex differs between {a} and {b}.",
        "D",
        "Vérifiez le patient avant l'envoi.",
        "Check the patient before sending.",
    ),
    # INS number disagrees (same OID)
    _r(
        "HID-074",
        S,
        "Le matricule INS diffère entre {a} et {b}.",
        "The INS number differs between {a} and {b}.",
        "LPS 904",
        "Vérifiez le patient : ce sont deux personnes différentes.",
        "Check the patient: these are two different people.",
    ),
    # XDM 'sourcePatientId' / 'patientId' not among the CDA's ids
    _r(
        "HID-075",
        R,
        "L'identifiant patient des métadonnées XDM n'est pas celui du document.",
        "The patient identifier in the XDM metadata is not the document's.",
        "D, LPS",
        "Régénérez l'archive IHE_XDM.zip depuis le document.",
        "Produce IHE_XDM.zip again from the document.",
    ),
    # XDM 'sourcePatientInfo' traits disagree with the CDA
    _r(
        "HID-076",
        S,
        "L'identité des métadonnées XDM diffère de celle du document.",
        "The identity in the XDM metadata differs from the document's.",
        "D",
        "Régénérez l'archive IHE_XDM.zip depuis le document.",
        "Produce IHE_XDM.zip again from the document.",
    ),
    # subject does not contain the CDA's name / date (W (R! if name and date both differ))
    _r(
        "HID-077",
        W,
        "L'objet du message ne correspond pas au patient du document.",
        "The subject does not match the document's patient.",
        "RF2",
        "Corrigez l'objet ou joignez le bon document.",
        "Correct the subject or attach the right document.",
    ),
    # message with IHE_XDM whose subject does not follow 'XDM/1.0/DDM+...'
    _r(
        "HID-078",
        W,
        "L'objet doit commencer par « XDM/1.0/DDM+ » suivi du libellé, du nom, du prénom et de la date de naissance.",
        'The subject must start with "XDM/1.0/DDM+" then label, name, first name, birth date.',
        "RF2, LPS",
    ),
    # patient identity or NIR in the subject of an Apicrypt v1 or unsecured mail; a NIR in any subject
    _r(
        "HID-079",
        W,
        "L'objet du message circule en clair : n'y mettez pas l'identité ni le numéro du patient.",
        "The subject travels in clear: do not put the patient's identity or number in it.",
        "MSE, D",
    ),
    # several patients over all parts of the message
    _r(
        "HID-080",
        S,
        "Le message concerne plusieurs patients ({count}). Envoyez un message par patient.",
        "The message concerns several patients ({count}). Send one message per patient.",
        "RF2",
    ),
    # near match (spelling)
    _r(
        "HID-081",
        W,
        "Orthographe voisine mais différente pour {field} entre {a} et {b} : vérifiez.",
        "Close but different spelling of {field} between {a} and {b}: please check.",
        "D",
    ),
    # surname agrees on another kind (usage v naissance)
    _r(
        "HID-082",
        N,
        "Nom de naissance et nom utilisé : correspondance croisée entre {a} et {b}.",
        "Birth name and name in use: cross match between {a} and {b}.",
        "MOS",
    ),
    # first name is one of the list
    _r(
        "HID-083",
        N,
        "Prénom présent dans la liste des prénoms de naissance.",
        "First name found in the list of birth names.",
        "MOS",
    ),
    # body repeats another identity ("Patient : ...")
    _r(
        "HID-084",
        W,
        "Le texte mentionne une autre identité que l'en-tête (ligne {line}).",
        "The text mentions another identity than the header (line {line}).",
        "HTL, D",
    ),
    # attachment name holds another name/date
    _r(
        "HID-085",
        W,
        "Le nom du fichier {file} évoque un autre patient.",
        "File name {file} suggests another patient.",
        "D",
    ),
    # HL7 PID-3 not identical to the CDA's ids
    _r(
        "HID-086",
        R,
        "PID-3 différent des identifiants du document CDA.",
        "PID-3 differs from the CDA document's identifiers.",
        "LPS",
        "Régénérez le message HL7 depuis le document.",
        "Produce the HL7 message again from the document.",
    ),
    # PID-32/status says PROV, DOUT, FICT, INVA, USUR... while an INS is sent
    _r(
        "HID-087",
        W,
        "Statut d'identité {status} incompatible avec l'envoi d'une INS.",
        "Identity status {status} is incompatible with sending an INS.",
        "FRC, CDY",
    ),
    # HPRIM Santé/XML patient disagrees with another source; or several P segments with different patients
    _r(
        "HID-088",
        S,
        "Plusieurs patients, ou identité différente, dans le fichier {file}.",
        "Several patients, or a different identity, in file {file}.",
        "MB, LIB",
        "Envoyez un fichier par patient et vérifiez son identité.",
        "Send one file per patient and check the identity.",
    ),
    # recipient '<matricule>@patient.mssante.fr' whose number is not the document's INS
    _r(
        "HID-089",
        S,
        "L'adresse patient destinataire ne correspond pas à l'INS du document.",
        "The patient address does not match the document's INS.",
        "CDA, D",
        "Choisissez l'adresse du patient du document.",
        "Choose the address of the document's patient.",
    ),
    # probable duplicate patient (9 points or more)
    _r(
        "HID-090",
        N,
        "Doublon probable avec un patient déjà rencontré dans cette boîte.",
        "Probable duplicate of a patient already seen in this mailbox.",
        "D",
    ),
    # same OID+matricule seen with disagreeing traits
    _r(
        "HID-091",
        S,
        "Ce matricule INS a déjà été reçu avec une autre identité (collision).",
        "This INS number was already received with another identity (collision).",
        "FRC COLP/COLV",
        "Vérifiez l'identité auprès du patient ou de votre référent identitovigilance ; si elle est exacte, demandez à votre opérateur d'oublier l'ancienne.",
        "Check the identity with the patient or your identity officer; if it is right, ask your operator to forget the old one.",
    ),
    # same full traits, another matricule of the same OID
    _r(
        "HID-092",
        W,
        "Même identité déjà reçue avec un autre matricule.",
        "Same identity already received with another number.",
        "FRC DPOT",
    ),
    # strict homonym without any INS
    _r(
        "HID-093",
        W,
        "Homonymie stricte possible : aucun INS pour départager.",
        "Possible strict homonym: no INS to tell them apart.",
        "FRC HOMD",
    ),
    # identity flagged fictive or douteuse (R (production))
    _r(
        "HID-094",
        R,
        "Identité {attribute} : ne pas échanger.",
        "Identity flagged {attribute}: do not exchange.",
        "CDY",
        "N'envoyez pas cette identité.",
        "Do not send this identity.",
    ),
    # twins guard
    _r(
        "HID-095",
        N,
        "Jumeaux possibles : même nom, même date, prénoms différents.",
        "Possible twins: same surname and date, different first names.",
        "D",
    ),
    # same document id (CDA id, XDM uniqueId, HPRIM line 9 + sender) earlier sent for another patient
    _r(
        "HID-096",
        W,
        "Ce numéro de document a déjà été envoyé pour un autre patient.",
        "This document number was already sent for another patient.",
        "D",
    ),
    # replacement document ('[Annule et remplace]', CDA relatedDocument RPLC)
    _r("HID-097", N, "Document de remplacement.", "Replacement document.", "RF2"),
    # the same document, octet for octet, earlier sent from or received in this mailbox
    _r("HID-098", N, "Ce document a déjà été envoyé.", "This document was already sent.", "SC.CDA/INT.18"),
    # same identifier or version with another content, or a version older than one already sent
    _r(
        "HID-099",
        W,
        "La version du document ne suit pas celles déjà envoyées : {detail}.",
        "The document's version does not follow those already sent: {detail}.",
        "SC.CDA/INT.18, LPS 900",
        "Produisez de nouveau le document : une nouvelle version porte un nouvel identifiant et un numéro plus grand.",
        "Produce the document again: a new version has a new identifier and a higher number.",
    ),
    # a part of a kind in which people write letters, and which no reader opens
    _r(
        "HID-100",
        N,
        "Le document {name} n'a pas été lu ({kind}) : le patient dont il parle n'est pas contrôlé.",
        "Document {name} was not read ({kind}): whom it is about is not checked.",
        "D",
    ),
    # an archive or XML that cannot be read safely
    _r(
        "MSS-091",
        R,
        "Fichier refusé par prudence : {detail}.",
        "File refused for safety: {detail}.",
        "D",
        "Produisez de nouveau le fichier depuis le logiciel.",
        "Produce the file again from your software.",
    ),
    # METADATA.XML against the documents: URI, hash, size
    _r(
        "MSS-092",
        R,
        "Archive IHE_XDM incohérente : {detail}.",
        "Inconsistent IHE_XDM archive: {detail}.",
        "IHE ITI TF-3 4.2.3",
        "Régénérez l'archive : un document a été modifié, oublié ou échangé.",
        "Produce the archive again: a document was altered, forgotten or swapped.",
    ),
    # named or announced as XDM but is not
    _r(
        "MSS-090",
        R,
        "Le message annonce une archive IHE_XDM mais {detail}.",
        "The message announces an IHE_XDM archive but {detail}.",
        "ECO.2.1.2",
        "Joignez une archive IHE_XDM.zip complète.",
        "Attach a complete IHE_XDM.zip archive.",
    ),
    _r(
        "MSS-093",
        W,
        "L'en-tête X-MSS-CODECDA ne correspond pas aux documents (attendu : {expected}).",
        "Header X-MSS-CODECDA does not match the documents (expected: {expected}).",
        "ECO.2.4.1",
    ),
    _r(
        "MSS-094",
        W,
        "L'en-tête {header} est présent alors que le message ne contient pas de CDA dans une archive IHE_XDM.",
        "Header {header} is present although no IHE_XDM archive holds a CDA.",
        "ECO.2.4.1, ECO.2.4.2",
    ),
    _r("MSS-096", N, "En-tête X-MSS-NIL absent.", "Header X-MSS-NIL missing.", "ECO.2.4.3"),
    _r(
        "MSS-097",
        W,
        "L'en-tête X-MSS-MES ne peut valoir que FIN, vers un patient.",
        "Header X-MSS-MES may only be FIN, to a patient.",
        "ECO.2.2.8",
    ),
    _r(
        "MSS-098",
        R,
        "L'adresse patient est invalide : 15 caractères, clé correcte, domaine patient.mssante.fr.",
        "Invalid patient address: 15 characters, right key, domain patient.mssante.fr.",
        "ECO.2.2.6",
        "Récupérez de nouveau l'INS du patient.",
        "Fetch the patient's INS again.",
    ),
    _r(
        "MSS-099",
        R,
        "Écrire à un patient demande une INS qualifiée dans le document joint.",
        "Writing to a patient needs a qualified INS in the attached document.",
        "ECO.2.2.6",
        "Qualifiez l'identité du patient, puis régénérez le document.",
        "Qualify the patient's identity and produce the document again.",
    ),
    _r(
        "MSS-105",
        W,
        "Le message est adressé à plusieurs patients ({count}).",
        "The message is addressed to several patients ({count}).",
        "ENS 2",
        "Écrivez à l'adresse du seul patient concerné.",
        "Write to the address of the one patient concerned.",
    ),
    _r(
        "MSS-107",
        W,
        "Identité de production (OID {oid}) dans un échange de test.",
        "Production identity (OID {oid}) in a test exchange.",
        "ECO.2.1.2",
    ),
    _r(
        "MSS-110",
        W,
        "L'objet libre contient l'identité du patient.",
        "The free subject holds the patient's identity.",
        "ECO.2.1.3",
    ),
    _r(
        "MSS-111",
        W,
        "Le PDF {file} n'a pas de document CDA correspondant, ou son nom ne suit pas la forme attendue.",
        "PDF {file} has no matching CDA document, or its name does not follow the expected form.",
        "ECO.2.1.5, ECO.2.1.6",
    ),
    _r(
        "MSS-112",
        N,
        "Texte déclaré en {charset} : l'UTF-8 est attendu.",
        "Text declared as {charset}: UTF-8 is expected.",
        "ECO.2.2.3",
    ),
    _r(
        "MSS-113",
        S,
        "Les restrictions du document interdisent cet envoi ({detail}).",
        "The document's restrictions forbid this sending ({detail}).",
        "MetaDMPMSS",
        "Vérifiez les destinataires et les restrictions du document.",
        "Check the recipients and the document's restrictions.",
    ),
    # whatever cannot be parsed
    _r(
        "MSS-114",
        R,
        "Le document {name} est illisible : {detail}.",
        "Document {name} cannot be read: {detail}.",
        "MSS-091",
        "S'il est endommagé, produisez-le de nouveau depuis le logiciel. S'il est chiffré ou protégé, envoyez-le en clair si possible : la messagerie le protège.",
        "If it is damaged, produce it again from your software. If it is encrypted or locked, send it in clear where you can: the mail service protects it.",
    ),
)

CATALOGUE: Mapping[str, Rule] = {rule.name: rule for rule in RULES}
"""Every rule by its stable name."""
