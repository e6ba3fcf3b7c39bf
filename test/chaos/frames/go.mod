module overlaynet.dev/frames

go 1.24
