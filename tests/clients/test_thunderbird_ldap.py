"""Thunderbird completes a recipient from our directory, by LDAPS, with the mailbox's address and a device password as login."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients import thunderbird
from tests.clients.marionette import Marionette
from tests.clients.programs import program
from tests.clients.thunderbird import Thunderbird
from tests.space.running import Space, free_port

pytestmark = [pytest.mark.client, pytest.mark.slow]

COMPLETE = """
const [uri, address, password, typed, done] = arguments;
(async () => {
  const {MailServices} = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
  const kind = Ci.nsIAbManager.LDAP_DIRECTORY_TYPE;
  const book = MailServices.ab.getDirectoryFromId(MailServices.ab.newAddressBook("Annuaire", uri, kind));
  const directory = book.QueryInterface(Ci.nsIAbLDAPDirectory);
  directory.authDn = address;
  const url = directory.lDAPURL;
  const login = Cc["@mozilla.org/login-manager/loginInfo;1"].createInstance(Ci.nsILoginInfo);
  login.init(url.prePath, null, url.spec, "", password, "", "");
  await Services.logins.addLoginAsync(login);
  Services.prefs.setBoolPref("ldap_2.autoComplete.useDirectory", true);
  Services.prefs.setCharPref("ldap_2.autoComplete.directoryServer", book.dirPrefId);
  const search = Cc["@mozilla.org/autocomplete/search;1?name=ldap"].createInstance(Ci.nsIAutoCompleteSearch);
  const found = [];
  for (const words of typed) {
    const result = await new Promise(told => {
      const onSearchResult = (_search, result) => {
        if (result.searchResult != Ci.nsIAutoCompleteResult.RESULT_NOMATCH_ONGOING) told(result);
      };
      search.startSearch(words, JSON.stringify({type: "addr_to"}), null, {onSearchResult});
    });
    found.push(Array.from({length: result.matchCount}, (_, at) => result.getValueAt(at)));
  }
  return found;
})().then(done, problem => done({problem: String(problem)}));
"""


def test_a_recipient_is_completed_from_the_directory(space: Space, tmp_path: Path) -> None:
    for name in ("thunderbird", "Xvfb", "xdotool", "certutil"):
        program(name)
    operator, box, port = space.a, space.box(space.a), free_port()
    without_mail = {"mail.accountmanager.accounts": "", "mail.accountmanager.defaultaccount": ""}
    profile = thunderbird.make_profile(tmp_path, box, operator, space.ca, **without_mail, **{"marionette.port": port})
    where = f"ldaps://localhost:{operator['ldaps']['port']}/ou=bal,o=mssante,c=fr??sub?(objectclass=*)"
    with thunderbird.display() as screen:
        client = Thunderbird(profile, screen | {"HOME": str(tmp_path)}, box["login"], box["device_password"])
        client.start("--marionette", "--remote-allow-system-access")
        try:
            remote = Marionette(port)
            typed = ["dura", "paul.du", "hôpital", "personne"]
            found = remote.run(COMPLETE, where, box["address"], box["device_password"], typed)
            remote.close()
        finally:
            client.stop()
    assert isinstance(found, list), found
    durand, by_address, hospital, nobody = found
    assert "Dr Paul DURAND <paul.durand@op-a.mssante.test>" in durand
    assert "Dr Paul DURAND <paul.durand@op-a.mssante.test>" in by_address
    assert any("<cardiologie@op-a.mssante.test>" in each for each in hospital)
    assert nobody == []
