"""An SMTP sink with a readable mailbox: every mail is kept as a file, none is sent on."""
