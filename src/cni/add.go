package main

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	"golang.org/x/sys/unix"
)

// add puts a container on the networks that the agent names. Whatever fails, nothing is left of it.
func add(args *skel.CmdArgs) error {
	k, err := keyOf(args)
	if err != nil {
		return err
	}
	conf, err := parseConfig(args.StdinData)
	if err != nil {
		return err
	}
	who, err := parsePod(args.Args)
	if err != nil {
		return err
	}
	before, err := previous(conf)
	if err != nil {
		return err
	}
	inside, err := openSandbox(args.Netns)
	if err != nil {
		return err
	}
	defer inside.close()
	held, err := recordsIn(conf.StateDir).lock(k, true)
	if err != nil {
		return err
	}
	defer held.release()
	if err := makeRoom(conf, k); err != nil {
		return err
	}
	networks, err := ask(conf.Socket, question{
		ContainerID: k.containerID, IfName: k.ifname, Namespace: who.namespace, Pod: who.name,
		Annotation: conf.RuntimeConfig.Annotations.of[networkAnnotation],
		Annotated:  conf.RuntimeConfig.Annotations.delivered, Network: conf.Network,
	})
	if err != nil {
		return err
	}
	record := &attachment{
		Version: 1, Conflist: conf.Name, ContainerID: k.containerID, IfName: k.ifname, Netns: args.Netns,
		Namespace: who.namespace, Pod: who.name,
	}
	m := &making{conf: conf, record: record, inside: inside, made: &remains{key: k}}
	if err := m.all(networks); err != nil {
		return m.undone(err)
	}
	result := resultOf(before, m.ports, args.Netns)
	if err := printResult(result, conf.CNIVersion); err != nil {
		return m.undone(err)
	}
	return nil
}

// makeRoom refuses an attachment that is there already. What is left of one whose record is of no use goes.
func makeRoom(conf *config, k key) error {
	store := recordsIn(conf.StateDir)
	record, err := store.read(k)
	if errors.Is(err, errCorrupt) {
		if _, there := linkIndex(identify(k.containerID, k.ifname).host); there == nil {
			return fmt.Errorf("%s is attached already, and its record cannot be read: DEL it first: %w", k, err)
		}
		setAside(store.path(k), err)
		left, err := unrecorded(conf, k)
		if err != nil {
			return err
		}
		return left.undo(conf)
	}
	if err != nil {
		return err
	}
	if record != nil {
		return fmt.Errorf("%s is attached already, to %s: DEL it first", k, record.networks())
	}
	return nil
}

// port is one of the container's interfaces in the making.
type port struct {
	network
	identity
	leases []lease
	// linkLocal is set where the network has IPv6: a container of an IPv4 network has none at all.
	linkLocal netip.Addr
}

func (p *port) claims() []claim {
	var claims []claim
	for _, address := range p.addresses() {
		claims = append(claims, claim{p.host, p.innerMAC, address})
	}
	return claims
}

func (p *port) addresses() []netip.Addr {
	addresses := []netip.Addr{}
	for _, one := range p.leases {
		addresses = append(addresses, one.prefix.Addr())
	}
	if p.linkLocal.IsValid() {
		addresses = append(addresses, p.linkLocal)
	}
	return addresses
}

// making is an attachment in the making.
type making struct {
	conf   *config
	record *attachment
	inside *sandbox
	ports  []*port
	// made is what has to go if the rest fails: no more than that, since something of that name may be another's.
	made *remains
}

// all makes the attachment: record, leases, links, what they may send as, and last the container's ends come up.
func (m *making) all(networks []network) error {
	for _, one := range networks {
		id := identify(m.record.ContainerID, one.Interface)
		m.ports = append(m.ports, &port{network: one, identity: id})
		m.record.Interfaces = append(m.record.Interfaces, attachedNetwork{
			Network: one.Name, Name: one.Interface, Host: id.host, MAC: id.innerMAC.String(), Bridge: one.Bridge,
			Addresses: []netip.Addr{},
		})
	}
	store := recordsIn(m.conf.StateDir)
	if err := store.write(m.record); err != nil {
		return err
	}
	if err := m.lease(); err != nil {
		return err
	}
	if err := store.write(m.record); err != nil {
		return err
	}
	if err := m.link(); err != nil {
		return err
	}
	for _, p := range m.ports {
		m.made.claims = append(m.made.claims, p.claims()...)
	}
	if err := permit(m.made.claims); err != nil {
		return err
	}
	// a socket asks about links of the namespace that it was made in
	outside, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(outside)
	return m.inside.enter(func(c *conn) error {
		for _, p := range m.ports {
			if err := p.configure(c); err != nil {
				return fmt.Errorf("network %s: %w", p.Name, err)
			}
			if err := p.announce(c, outside); err != nil {
				return fmt.Errorf("network %s: %w", p.Name, err)
			}
		}
		return nil
	})
}

// lease takes an address of each family from each network. The record tells of those that were taken before a failure.
func (m *making) lease() error {
	for at, p := range m.ports {
		err := remakeWiped(m.conf, p.Name)
		if err == nil {
			p.leases, err = leases{m.conf.LeaseDir}.take(p.Name, p.Ranges, m.record.key())
		}
		for _, one := range p.leases {
			m.made.leases = append(m.made.leases, held{p.Name, one.prefix.Addr(), m.record.key()})
			if one.prefix.Addr().Is6() {
				p.linkLocal = linkLocal(p.innerMAC)
			}
		}
		m.record.Interfaces[at].Addresses = p.addresses()
		if err != nil {
			return err
		}
	}
	return nil
}

// link makes the pairs, as ports of the bridges.
func (m *making) link() error {
	host, err := dial(unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer host.close()
	for _, p := range m.ports {
		bridge, err := linkIndex(p.Bridge)
		if err != nil {
			return fmt.Errorf("network %s: the bridge is missing: %w", p.Name, err)
		}
		if _, err := linkIndex(p.host); err == nil {
			return fmt.Errorf("network %s: link %s of this container exists already: DEL it first", p.Name, p.host)
		}
		m.made.hosts = append(m.made.hosts, p.host)
		requests := []request{makePair(p.identity, p.Interface, bridge, p.MTU, int(m.inside.file.Fd())), preparePort(p.identity)}
		for _, one := range p.leases {
			requests = append(requests, addNeighbour(bridge, one.prefix.Addr(), p.innerMAC))
		}
		err = host.send(requests...)
		if first := (*kernelError)(nil); errors.As(err, &first) && first.errno == unix.EEXIST && first.what == requests[0].what {
			return fmt.Errorf("network %s: interface %s exists already in the container", p.Name, p.Interface)
		}
		if err != nil {
			return fmt.Errorf("network %s: %w", p.Name, err)
		}
	}
	return nil
}

// configure configures the container's end, from in there. Up to then it is down, and has no carrier: nothing passes.
func (p *port) configure(c *conn) error {
	index, err := linkIndex(p.Interface)
	if err != nil {
		return err
	}
	if p.linkLocal.IsValid() {
		// a container's routers are those that it is told of here, whoever sends advertisements
		if err := sysctl(p.Interface, "accept_ra", "0"); err != nil {
			return err
		}
		if err := sysctl(p.Interface, "disable_ipv6", "0"); err != nil {
			return err
		}
		if err := sysctl(p.Interface, "ndisc_notify", "1"); err != nil {
			return err
		}
	}
	requests := []request{prepareInside(index)}
	for _, one := range p.leases {
		requests = append(requests, addAddress(index, one.prefix))
	}
	if p.linkLocal.IsValid() {
		requests = append(requests, addAddress(index, netip.PrefixFrom(p.linkLocal, 64)))
	}
	requests = append(requests, bringUp(index, p.Interface))
	if err := c.send(requests...); err != nil {
		return err
	}
	var made []netip.Prefix
	for _, route := range p.Routes {
		err := c.send(addRoute(index, route, p.gateway(route)))
		if isKernel(err, unix.EEXIST) {
			continue // by an interface that the container got in an ADD of its own: the first one's counts
		}
		if err != nil {
			return err
		}
		made = append(made, route)
	}
	p.Routes = made
	return nil
}

// gateway of a route is that of the address of its family.
func (p *port) gateway(route netip.Prefix) netip.Addr {
	for _, one := range p.leases {
		if one.prefix.Addr().Is4() == route.Addr().Is4() {
			return one.gateway
		}
	}
	return netip.Addr{}
}

// undone takes back what has been made and returns why. What cannot be taken back keeps its record, for GC and sweep.
func (m *making) undone(why error) error {
	if err := m.made.undo(m.conf); err != nil {
		warn("undo of a failed ADD of %s: %v", m.record.key(), err)
	}
	var said *types.Error
	if errors.As(why, &said) {
		return said
	}
	return fmt.Errorf("%s could not be attached: %w", m.record.key(), why)
}

func (a *attachment) networks() string {
	names := ""
	for at, one := range a.Interfaces {
		if at > 0 {
			names += ", "
		}
		names += one.Network
	}
	return names
}
