"""The one frozen Settings; nothing here may know how a setting is used."""
