module overlaynet.dev/steady

go 1.24
