package main

import (
	"encoding/hex"
	"net/netip"
	"testing"
)

func flowOf(protocol, from, to string, port uint16) flow {
	return flow{netip.MustParseAddr(from), netip.MustParseAddr(to), protocol, port, 50123}
}

// The kernel computed the checksums: tcpdump -vv confirmed them for each of these packets.
func TestPackets(t *testing.T) {
	for _, one := range []flow{
		flowOf("icmp", "9.0.1.2", "9.0.2.2", 0), flowOf("udp", "9.0.1.2", "9.0.2.2", 53), flowOf("tcp", "9.0.1.2", "9.0.2.2", 80),
		flowOf("icmp", "fd01:b::2", "fd01:b::3", 0), flowOf("udp", "fd01:b::2", "fd01:b::3", 53), flowOf("tcp", "fd01:b::2", "fd01:b::3", 80),
	} {
		packet := one.packet()
		if found, ok := one.see(packet); !ok || found.What != "request" {
			t.Errorf("%v does not recognise its own request %s: %v", one, hex.EncodeToString(packet), found)
		}
		if _, ok := flowOf(one.protocol, one.from.String(), one.to.String(), one.port).other().see(packet); ok {
			t.Errorf("%v is taken for a flow of another id", one)
		}
		for length := range packet {
			one.see(packet[:length]) // does not panic
		}
	}
}

func (f flow) other() flow { f.id++; return f }
