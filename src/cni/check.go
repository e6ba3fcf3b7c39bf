package main

import (
	"fmt"
	"net"

	"github.com/containernetworking/cni/pkg/skel"
	current "github.com/containernetworking/cni/pkg/types/100"
	"github.com/vishvananda/netlink"
)

// check compares the result of the chain's last ADD with the kernel. Later plugins may have changed what this plugin
// made, so only what is still in the result is expected.
func check(args *skel.CmdArgs) error {
	k, err := keyOf(args)
	if err != nil {
		return err
	}
	conf, err := parseConfig(args.StdinData)
	if err != nil {
		return err
	}
	if conf.RawPrevResult == nil {
		return invalidConfig("prevResult is missing, which tells what is to be there")
	}
	expected, err := previous(conf)
	if err != nil {
		return err
	}
	inside, err := openSandbox(args.Netns)
	if err != nil {
		return err
	}
	defer inside.close()
	record, err := recordsIn(conf.StateDir).read(k)
	if err != nil {
		return err
	}
	if record == nil {
		return fmt.Errorf("%s is not attached: it has no record", k)
	}
	for _, one := range record.Interfaces {
		if err := checkInterface(conf, record, one, expected, inside, args.Netns); err != nil {
			return fmt.Errorf("%s: network %s: %w", k, one.Network, err)
		}
	}
	return nil
}

func checkInterface(conf *config, record *attachment, one attachedNetwork, expected *current.Result, inside *sandbox, netns string) error {
	if err := checkPort(one); err != nil {
		return err
	}
	for _, address := range leasable(one.Addresses) {
		if !(leases{conf.LeaseDir}).holds(one.Network, address, record.key()) {
			return fmt.Errorf("the lease of %s is gone", address)
		}
	}
	at := -1
	for i, each := range expected.Interfaces {
		if each.Name == one.Name && each.Sandbox == netns {
			at = i
		}
	}
	if at < 0 {
		return fmt.Errorf("interface %s is not in prevResult", one.Name)
	}
	var mac net.HardwareAddr
	if err := inside.enter(func(*conn) (err error) {
		mac, err = checkInside(one.Name, expected, at)
		return err
	}); err != nil {
		return err
	}
	var claims []claim
	for _, address := range one.Addresses {
		claims = append(claims, claim{one.Host, mac, address})
	}
	if err := permitted(claims); err != nil {
		return fmt.Errorf("what it sends is dropped: %w", err)
	}
	return nil
}

// checkPort checks the node's end.
func checkPort(one attachedNetwork) error {
	bridge, err := netlink.LinkByName(one.Bridge)
	if err != nil {
		return fmt.Errorf("bridge %s: %w", one.Bridge, err)
	}
	port, err := netlink.LinkByName(one.Host)
	if err != nil {
		return fmt.Errorf("link %s: %w", one.Host, err)
	}
	for _, link := range []netlink.Link{bridge, port} {
		if link.Attrs().Flags&net.FlagUp == 0 {
			return fmt.Errorf("link %s is down", link.Attrs().Name)
		}
	}
	if port.Attrs().MasterIndex != bridge.Attrs().Index {
		return fmt.Errorf("link %s is no port of bridge %s", one.Host, one.Bridge)
	}
	if flags, err := netlink.LinkGetProtinfo(port); err != nil || !flags.Hairpin {
		return join(fmt.Errorf("link %s does not send back to where a packet came from (hairpin)", one.Host), err)
	}
	return nil
}

// checkInside checks the container's end from a thread inside its namespace. It returns the MAC address.
func checkInside(name string, expected *current.Result, at int) (net.HardwareAddr, error) {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w", name, err)
	}
	mac := link.Attrs().HardwareAddr
	if link.Attrs().Flags&net.FlagUp == 0 {
		return nil, fmt.Errorf("interface %s is down", name)
	}
	if want := expected.Interfaces[at].Mac; want != "" && want != mac.String() {
		return nil, fmt.Errorf("interface %s has the hardware address %s, not %s", name, mac, want)
	}
	addresses, err := netlink.AddrList(link, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w", name, err)
	}
	routes, err := netlink.RouteList(link, netlink.FAMILY_ALL)
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w", name, err)
	}
	for _, want := range expected.IPs {
		if want.Interface == nil || *want.Interface != at {
			continue
		}
		found := false
		for _, has := range addresses {
			found = found || has.IPNet.String() == want.Address.String()
		}
		if !found {
			return nil, fmt.Errorf("interface %s does not have %s", name, want.Address.String())
		}
		if err := checkRoutes(name, want.Gateway, expected, routes); err != nil {
			return nil, err
		}
	}
	return mac, nil
}

// checkRoutes checks that the result's routes through our gateway exist.
func checkRoutes(name string, gateway net.IP, expected *current.Result, routes []netlink.Route) error {
	for _, want := range expected.Routes {
		if gateway == nil || !want.GW.Equal(gateway) {
			continue
		}
		found := false
		for _, has := range routes {
			found = found || has.Gw.Equal(want.GW) && (has.Dst == nil && isDefault(want.Dst) || has.Dst != nil && has.Dst.String() == want.Dst.String())
		}
		if !found {
			return fmt.Errorf("interface %s does not have the route %s via %s", name, want.Dst.String(), want.GW)
		}
	}
	return nil
}

func isDefault(destination net.IPNet) bool {
	length, _ := destination.Mask.Size()
	return length == 0
}
