package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"sync/atomic"
)

// serve answers on each address by TCP (HTTP) and by UDP (an echo). It says who it is and from where it was asked.
func serve(addresses []string) error {
	if len(addresses) == 0 {
		addresses = []string{":8080"}
	}
	host, _ := os.Hostname()
	var unhealthy atomic.Bool
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		from, _, _ := net.SplitHostPort(r.RemoteAddr)
		fmt.Fprintf(w, "%s %s\n", host, from)
	})
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) {
		if unhealthy.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("/switch", func(_ http.ResponseWriter, r *http.Request) {
		unhealthy.Store(r.URL.Query().Get("healthy") == "false")
	})
	failed := make(chan error)
	for _, address := range addresses {
		packets, err := net.ListenPacket("udp", address)
		if err != nil {
			return err
		}
		go echo(packets)
		go func() { failed <- http.ListenAndServe(address, mux) }()
		fmt.Println(host, "serves on", address)
	}
	return <-failed
}

func echo(packets net.PacketConn) {
	buffer := make([]byte, 65536)
	for {
		n, from, err := packets.ReadFrom(buffer)
		if err != nil {
			continue
		}
		packets.WriteTo(buffer[:n], from)
	}
}
