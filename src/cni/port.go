package main

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// port is one of the container's interfaces that is being made.
type port struct {
	network
	identity
	leases []lease
	// linkLocal is set if the network has IPv6; a container of an IPv4 network has no link-local address.
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

// configure configures the container's end from inside its namespace. Until then it is down and has no carrier, so
// nothing passes.
func (p *port) configure(c *conn) error {
	index, err := linkIndex(p.Interface)
	if err != nil {
		return err
	}
	if p.linkLocal.IsValid() {
		// a container uses only the routers configured here, whatever router advertisements arrive
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
			continue // an interface from an earlier ADD of the container has this route already, and the first one takes precedence
		}
		if err != nil {
			return err
		}
		made = append(made, route)
	}
	p.Routes = made
	return nil
}

// gateway returns the gateway for a route: the one of its family.
func (p *port) gateway(route netip.Prefix) netip.Addr {
	for _, one := range p.leases {
		if one.prefix.Addr().Is4() == route.Addr().Is4() {
			return one.gateway
		}
	}
	return netip.Addr{}
}
