package main

import (
	"fmt"
	"net"
	"runtime"
	"unsafe"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// An address may have belonged to another container a moment ago, and its peers keep sending to that container's MAC
// address for up to a minute. So the container's kernel announces the new owner to everyone on the bridge: by a
// gratuitous ARP request and an unsolicited neighbour advertisement for each address, which the container is allowed
// to send.

// announce makes the container's kernel announce its addresses. The kernel forgets its neighbours by that, so they
// are added here, afterwards. It runs in the container; outside is a socket of the node.
func (p *port) announce(c *conn, outside int) error {
	if err := syncCarrier(outside, p.host); err != nil {
		return err
	}
	index, err := linkIndex(p.Interface)
	if err != nil {
		return err
	}
	requests := []request{announceAddresses(index, p.innerMAC)}
	for _, one := range p.leases {
		requests = append(requests, addNeighbour(index, one.gateway, p.GatewayMAC))
	}
	return c.send(requests...)
}

// syncCarrier makes the kernel notice a port's carrier, as any request for it does. Otherwise the kernel notices it
// some milliseconds or a second later, and until then the bridge takes no frame from the port.
func syncCarrier(fd int, name string) error {
	value := struct{ command, carrier uint32 }{command: unix.ETHTOOL_GLINK}
	ask := struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		rest [16]byte
	}{data: unsafe.Pointer(&value)}
	copy(ask.name[:unix.IFNAMSIZ-1], name)
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&ask)))
	runtime.KeepAlive(&value)
	if errno != 0 {
		return fmt.Errorf("carrier of %s: %w", name, errno)
	}
	return nil
}

// announcing makes the kernel announce IPv4 addresses when the link's hardware address is set. IPv6 has no such
// attribute, but the sysctl ndisc_notify.
func announcing() *nl.RtAttr {
	const arpNotify = 22 // IPV4_DEVCONF_ARP_NOTIFY
	const conf = 1       // IFLA_INET_CONF
	return nested(unix.AF_INET, nested(conf, attribute(arpNotify, nl.Uint32Attr(1))))
}

// announceAddresses sets the hardware address that the link already has, which triggers the announcement.
func announceAddresses(index int, mac net.HardwareAddr) request {
	return request{"announce the addresses", unix.RTM_NEWLINK, acked, body(linkMessage(index, 0), attribute(unix.IFLA_ADDRESS, mac))}
}
