"""One request to somebody's HTTP API over urllib3, limited in every way: nothing here may know what is asked for."""
