package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// The links, addresses and routes of a container's interface, as requests to the kernel.

// alias marks every link that is ours.
const alias = "overlaynet"

const (
	// bridgePrefix and a network's name are the name of its bridge, which the agent makes.
	bridgePrefix = "m-"
	// portPrefix begins the name of each container's end in the node.
	portPrefix = "c-"
)

const (
	acked   = unix.NLM_F_ACK
	created = unix.NLM_F_ACK | unix.NLM_F_CREATE | unix.NLM_F_EXCL
)

// linkIndex returns the number of the link of that name in the calling thread's namespace.
func linkIndex(name string) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	ask, err := unix.NewIfreq(name)
	if err != nil {
		return 0, fmt.Errorf("link %s: %w", name, err)
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, ask); err != nil {
		return 0, fmt.Errorf("link %s: %w", name, err)
	}
	return int(ask.Uint32()), nil
}

func linkMessage(index int, flags uint32) *nl.IfInfomsg {
	message := nl.NewIfInfomsg(unix.AF_UNSPEC)
	message.Index, message.Flags, message.Change = int32(index), flags, flags
	return message
}

func attribute(kind int, value []byte) *nl.RtAttr { return nl.NewRtAttr(kind, value) }

func nested(kind int, children ...nl.NetlinkRequestData) *nl.RtAttr {
	parent := nl.NewRtAttr(kind|unix.NLA_F_NESTED, nil)
	for _, child := range children {
		parent.AddChild(child)
	}
	return parent
}

// byHand keeps the kernel from making a link-local address, and waiting for duplicates of it. One that was booted with
// ipv6.disable=1 has no such attribute, and no such address.
func byHand() []nl.NetlinkRequestData {
	if _, err := os.Stat("/proc/sys/net/ipv6"); err != nil {
		return nil
	}
	const none = 1 // IN6_ADDR_GEN_MODE_NONE
	return []nl.NetlinkRequestData{nested(unix.AF_INET6, attribute(unix.IFLA_INET6_ADDR_GEN_MODE, []byte{none}))}
}

// prepareInside says of the container's end how its addresses come and are told of.
func prepareInside(index int) request {
	return request{"prepare the interface", unix.RTM_NEWLINK, acked, body(
		linkMessage(index, 0), nested(unix.IFLA_AF_SPEC, append(byHand(), announcing())...),
	)}
}

// makePair makes the two links at once, each where it belongs.
func makePair(id identity, ifname string, bridge, mtu int, sandbox int) request {
	const peerInfo = 1 // VETH_INFO_PEER
	size := nl.Uint32Attr(uint32(mtu))
	peer := nested(peerInfo,
		linkMessage(0, 0),
		attribute(unix.IFLA_IFNAME, nl.ZeroTerminated(ifname)),
		attribute(unix.IFLA_ADDRESS, id.innerMAC),
		attribute(unix.IFLA_MTU, size),
		attribute(unix.IFLA_NET_NS_FD, nl.Uint32Attr(uint32(sandbox))),
	)
	return request{"make " + id.host + " and " + ifname, unix.RTM_NEWLINK, created, body(
		linkMessage(0, 0),
		attribute(unix.IFLA_IFNAME, nl.ZeroTerminated(id.host)),
		attribute(unix.IFLA_ADDRESS, id.hostMAC),
		attribute(unix.IFLA_MTU, size),
		attribute(unix.IFLA_MASTER, nl.Uint32Attr(uint32(bridge))),
		nested(unix.IFLA_LINKINFO,
			attribute(unix.IFLA_INFO_KIND, nl.NonZeroTerminated("veth")),
			nested(unix.IFLA_INFO_DATA, peer),
		),
	)}
}

// preparePort gives the node's end what cannot be said at its creation. It is up from then on, but without a carrier
// while the container's is down.
func preparePort(id identity) request {
	return request{"configure " + id.host + " as a port", unix.RTM_NEWLINK, acked, body(
		linkMessage(0, unix.IFF_UP),
		attribute(unix.IFLA_IFNAME, nl.ZeroTerminated(id.host)),
		attribute(unix.IFLA_IFALIAS, nl.NonZeroTerminated(alias)),
		nested(unix.IFLA_AF_SPEC, byHand()...),
		nested(unix.IFLA_LINKINFO,
			attribute(nl.IFLA_INFO_SLAVE_KIND, nl.NonZeroTerminated("bridge")),
			// a container reaches itself by a Service's address
			nested(nl.IFLA_INFO_SLAVE_DATA, attribute(nl.IFLA_BRPORT_MODE, []byte{1})),
		),
	)}
}

func bringUp(index int, name string) request {
	return request{"set " + name + " up", unix.RTM_NEWLINK, acked, body(linkMessage(index, unix.IFF_UP))}
}

// removeLink removes the other end too, wherever it is.
func removeLink(name string) request {
	return request{"remove " + name, unix.RTM_DELLINK, acked, body(
		linkMessage(0, 0), attribute(unix.IFLA_IFNAME, nl.ZeroTerminated(name)),
	)}
}

// leaving is a group of links that no one else will have chosen.
const leaving = 0x6f766c21

// leave puts a link into the group of those that are to be removed.
func leave(name string) request {
	return request{"let " + name + " leave", unix.RTM_NEWLINK, acked, body(
		linkMessage(0, 0), attribute(unix.IFLA_IFNAME, nl.ZeroTerminated(name)), attribute(unix.IFLA_GROUP, nl.Uint32Attr(leaving)),
	)}
}

// removeLeaving removes all of that group. The kernel waits for its processors as long for one link as for many: of
// containers that end together, one removes the links of those that queue up behind it.
func removeLeaving() request {
	return request{"remove what leaves", unix.RTM_DELLINK, acked, body(
		linkMessage(0, 0), attribute(unix.IFLA_GROUP, nl.Uint32Attr(leaving)),
	)}
}

func addAddress(index int, address netip.Prefix) request {
	ip := address.Addr()
	message := nl.NewIfAddrmsg(familyOf(ip))
	message.Prefixlen, message.Index = uint8(address.Bits()), uint32(index)
	parts := []nl.NetlinkRequestData{
		message, attribute(unix.IFA_LOCAL, ip.AsSlice()), attribute(unix.IFA_ADDRESS, ip.AsSlice()),
	}
	if ip.Is4() {
		parts = append(parts, attribute(unix.IFA_BROADCAST, broadcast(address)))
	} else {
		parts = append(parts, attribute(unix.IFA_FLAGS, nl.Uint32Attr(unix.IFA_F_NODAD)))
	}
	return request{"add address " + address.String(), unix.RTM_NEWADDR, created, body(parts...)}
}

func broadcast(subnet netip.Prefix) []byte {
	ip, mask := subnet.Addr().As4(), net.CIDRMask(subnet.Bits(), 32)
	return binary.BigEndian.AppendUint32(nil, binary.BigEndian.Uint32(ip[:])|^binary.BigEndian.Uint32(mask))
}

func addRoute(index int, destination netip.Prefix, gateway netip.Addr) request {
	message := nl.NewRtMsg()
	message.Family, message.Dst_len = uint8(familyOf(gateway)), uint8(destination.Bits())
	return request{fmt.Sprintf("add route %s via %s", destination, gateway), unix.RTM_NEWROUTE, created, body(
		message,
		attribute(unix.RTA_DST, destination.Addr().AsSlice()),
		attribute(unix.RTA_GATEWAY, gateway.AsSlice()),
		attribute(unix.RTA_OIF, nl.Uint32Attr(uint32(index))),
	)}
}

// addNeighbour tells whose an address is, so that nobody has to ask, or goes on sending to a former holder. It is believed
// for some seconds after its first use, then asked for.
func addNeighbour(index int, address netip.Addr, mac net.HardwareAddr) request {
	message := make([]byte, 12) // struct ndmsg
	message[0] = byte(familyOf(address))
	binary.NativeEndian.PutUint32(message[4:], uint32(index))
	binary.NativeEndian.PutUint16(message[8:], unix.NUD_STALE)
	return request{fmt.Sprintf("add neighbour %s", address), unix.RTM_NEWNEIGH, unix.NLM_F_ACK | unix.NLM_F_CREATE | unix.NLM_F_REPLACE, append(
		message, body(attribute(unix.NDA_DST, address.AsSlice()), attribute(unix.NDA_LLADDR, mac))...,
	)}
}

func familyOf(address netip.Addr) int {
	if address.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}
