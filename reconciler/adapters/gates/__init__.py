"""Gates that others hold, asked over HTTP; nothing here may know when one is asked, or what its word leads to."""
