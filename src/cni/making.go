package main

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/containernetworking/cni/pkg/types"
	"golang.org/x/sys/unix"
)

// making is an attachment that is being made.
type making struct {
	conf   *config
	record *attachment
	inside *sandbox
	ports  []*port
	// made is removed if a later step fails. It contains only what this process made, because an existing link or lease
	// of that name may belong to another container.
	made *remains
}

// all makes the attachment. The record is written first, so that GC and sweep know what to remove if this process is
// killed. The container's ends are set up last, so that no packet passes before everything else exists.
func (m *making) all(networks []network) error {
	m.name(networks)
	steps := []func() error{m.write, m.lease, m.write, m.link, m.permit, m.bringUp}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// name gives every interface its names and MAC addresses.
func (m *making) name(networks []network) {
	for _, one := range networks {
		id := identify(m.record.ContainerID, one.Interface)
		m.ports = append(m.ports, &port{network: one, identity: id})
		m.record.Interfaces = append(m.record.Interfaces, attachedNetwork{
			Network: one.Name, Name: one.Interface, Host: id.host, MAC: id.innerMAC.String(), Bridge: one.Bridge,
			Addresses: []netip.Addr{},
		})
	}
}

// write writes the record.
func (m *making) write() error { return recordsIn(m.conf.StateDir).write(m.record) }

// lease takes an address of each family from each network. After a failure the record names those that were taken
// before.
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
		if isFull(err) {
			return withUsage(m.conf.Socket, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// link makes the veth pairs, as ports of the bridges.
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

// permit allows the containers' ends to send from their addresses.
func (m *making) permit() error {
	for _, p := range m.ports {
		m.made.claims = append(m.made.claims, p.claims()...)
	}
	return permit(m.made.claims)
}

// bringUp configures the container's ends from inside its namespace, and announces their addresses.
func (m *making) bringUp() error {
	// a socket sees the links of the namespace in which it was made
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

// undone removes what was made and returns why. Whatever cannot be removed keeps its record, for GC and sweep.
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
