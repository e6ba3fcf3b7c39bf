package main

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"regexp"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// This file sends a packet like a container's, for `kubectl overlay trace --send`. The agent may not enter a
// container's namespace. So the packet comes from a separate port on the container's bridge. From there it takes the
// way of the container's packets, and the answer goes to the container.

// probePrefix begins the names of these ports.
const probePrefix = "t-"

var probePort = regexp.MustCompile("^[tu]-[0-9a-f]{8}$")

const (
	// every is the pause between two packets, in which an answer may come.
	every = 500 * time.Millisecond
	// most is the maximum number of packets.
	most = 3
	// rest is the time that the watch continues after the last packet.
	rest = 20 * time.Millisecond
)

// report is what a node saw of a flow.
type report struct {
	Sent int        `json:"sent"`
	Seen []sighting `json:"seen"`
}

// trial is the command line of send and watch.
type trial struct {
	flow
	bridge string
	mac    net.HardwareAddr
	target net.HardwareAddr
	wait   time.Duration
}

func parseTrial(name string, args []string) (*trial, error) {
	t := &trial{}
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	flags.TextVar(&t.from, "from", netip.Addr{}, "address that the packet comes from")
	flags.TextVar(&t.to, "to", netip.Addr{}, "address that it goes to")
	flags.StringVar(&t.protocol, "protocol", "icmp", "tcp, udp or icmp")
	port := flags.Uint("port", 0, "port of tcp and udp")
	id := flags.Uint("id", 0, "source port of tcp and udp, identifier of an echo request")
	flags.DurationVar(&t.wait, "wait", 2*time.Second, "of watch: how long")
	flags.StringVar(&t.bridge, "bridge", "", "of send: bridge that the packet comes to")
	mac := flags.String("mac", "", "of send: MAC that it comes from")
	target := flags.String("target-mac", "", "of send: MAC that it goes to; the bridge's where it is absent")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	t.port, t.id = uint16(*port), uint16(*id)
	switch {
	case flags.NArg() > 0:
		return nil, fmt.Errorf("%q is no flag", flags.Arg(0))
	case !t.from.IsValid() || !t.to.IsValid() || t.from.Is4() != t.to.Is4():
		return nil, fmt.Errorf("--from and --to must be addresses of one family")
	case t.protocol != "tcp" && t.protocol != "udp" && t.protocol != "icmp":
		return nil, fmt.Errorf("--protocol %q must be tcp, udp or icmp", t.protocol)
	case (t.protocol == "icmp") != (*port == 0) || *port > 0xffff:
		return nil, fmt.Errorf("--port %d must be from 1 to 65535 for tcp and udp, and absent for icmp", *port)
	case *id == 0 || *id > 0xffff:
		return nil, fmt.Errorf("--id %d must be from 1 to 65535", *id)
	case t.wait <= 0 || t.wait > 10*time.Second:
		return nil, fmt.Errorf("--wait %s must be from 1ms to 10s", t.wait)
	}
	if name == "watch" {
		return t, nil
	}
	var err error
	if t.mac, err = net.ParseMAC(*mac); err != nil {
		return nil, fmt.Errorf("--mac: %w", err)
	}
	if *target != "" {
		if t.target, err = net.ParseMAC(*target); err != nil {
			return nil, fmt.Errorf("--target-mac: %w", err)
		}
	}
	return t, nil
}

// watchCommand reports the packets of a flow that another node sends.
func watchCommand(args []string, out io.Writer) error {
	t, err := parseTrial("watch", args)
	if err != nil {
		return err
	}
	w, err := newWatch(t.flow)
	if err != nil {
		return err
	}
	defer w.close()
	if err := w.until(w.start.Add(t.wait), func() bool { return false }); err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(report{0, w.seen})
}

// sendCommand sends up to three packets, until one is answered, and reports what this node saw of them.
func sendCommand(args []string, out io.Writer) error {
	t, err := parseTrial("send", args)
	if err != nil {
		return err
	}
	bridge, err := net.InterfaceByName(t.bridge)
	if err != nil {
		return fmt.Errorf("link %s: %w", t.bridge, err)
	}
	c, err := dial(unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer c.close()
	if err := removeProbes(c); err != nil {
		return err
	}
	w, err := newWatch(t.flow)
	if err != nil {
		return err
	}
	defer w.close()
	outside, inside := probeNames()
	defer func() { _ = c.send(removeLink(outside)) }()
	if err := makeProbe(c, outside, inside, bridge); err != nil {
		return err
	}
	if t.target == nil {
		t.target = bridge.HardwareAddr
	}
	sent, err := t.send(w, inside)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(report{sent, w.seen})
}

func (t *trial) send(w *watch, link string) (sent int, err error) {
	index, err := linkIndex(link)
	if err != nil {
		return 0, err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("packet socket: %w", err)
	}
	defer unix.Close(fd)
	bytes := frame(t.target, t.mac, t.packet())
	answered := func() bool { return w.answered(t.bridge) }
	for sent < most && !answered() {
		if err := unix.Sendto(fd, bytes, 0, &unix.SockaddrLinklayer{Ifindex: index}); err != nil {
			return sent, fmt.Errorf("send by %s: %w", link, err)
		}
		sent++
		if err := w.until(time.Now().Add(every), answered); err != nil {
			return sent, err
		}
	}
	// the answer reaches the container's port a moment after the bridge
	return sent, w.until(time.Now().Add(rest), func() bool { return false })
}

func probeNames() (outside, inside string) {
	number := make([]byte, 4)
	_, _ = rand.Read(number) // never fails
	text := hex.EncodeToString(number)
	return probePrefix + text, "u-" + text
}

// makeProbe makes a port that carries only what is sent by its other end: it learns no address, gets no flooded frame,
// and has no address of its own.
func makeProbe(c *conn, outside, inside string, bridge *net.Interface) error {
	const peerInfo = 1 // VETH_INFO_PEER
	size := attribute(unix.IFLA_MTU, nl.Uint32Attr(uint32(bridge.MTU)))
	peer := nested(peerInfo, linkMessage(0, 0), attribute(unix.IFLA_IFNAME, nl.ZeroTerminated(inside)), size)
	off := []byte{0}
	err := c.send(
		request{"make " + outside, unix.RTM_NEWLINK, created, body(
			linkMessage(0, 0),
			attribute(unix.IFLA_IFNAME, nl.ZeroTerminated(outside)),
			attribute(unix.IFLA_MASTER, nl.Uint32Attr(uint32(bridge.Index))),
			size,
			nested(unix.IFLA_LINKINFO, attribute(unix.IFLA_INFO_KIND, nl.NonZeroTerminated("veth")), nested(unix.IFLA_INFO_DATA, peer)),
		)},
		request{"configure " + outside, unix.RTM_NEWLINK, acked, body(
			linkMessage(0, unix.IFF_UP),
			attribute(unix.IFLA_IFNAME, nl.ZeroTerminated(outside)),
			attribute(unix.IFLA_IFALIAS, nl.NonZeroTerminated(alias)),
			nested(unix.IFLA_AF_SPEC, byHand()...),
			nested(unix.IFLA_LINKINFO,
				attribute(nl.IFLA_INFO_SLAVE_KIND, nl.NonZeroTerminated("bridge")),
				nested(nl.IFLA_INFO_SLAVE_DATA, attribute(nl.IFLA_BRPORT_LEARNING, off), attribute(nl.IFLA_BRPORT_UNICAST_FLOOD, off)),
			),
		)},
		request{"configure " + inside, unix.RTM_NEWLINK, acked, body(
			linkMessage(0, unix.IFF_UP),
			attribute(unix.IFLA_IFNAME, nl.ZeroTerminated(inside)),
			nested(unix.IFLA_AF_SPEC, byHand()...),
		)},
	)
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return syncCarrier(fd, outside)
}

func sweepProbes() error {
	c, err := dial(unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer c.close()
	return removeProbes(c)
}

// removeProbes removes the ports that a killed send left. An agent runs one send at a time.
func removeProbes(c *conn) error {
	links, err := net.Interfaces()
	if err != nil {
		return fmt.Errorf("list links: %w", err)
	}
	var failed error
	for _, link := range links {
		if probePort.MatchString(link.Name) && link.Name[:2] == probePrefix {
			failed = join(failed, c.send(removeLink(link.Name)))
		}
	}
	return failed
}
