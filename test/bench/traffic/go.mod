module overlaynet.dev/traffic

go 1.24
