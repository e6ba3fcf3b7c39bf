package main

import (
	"encoding/json"
	"os"

	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/cni/pkg/version"
)

// previous returns the result of the plugins before this one in the chain, or an empty one. If none of them set dns,
// the configuration's dns is used.
func previous(conf *config) (*current.Result, error) {
	if conf.RawPrevResult == nil {
		return &current.Result{DNS: conf.DNS}, nil
	}
	if err := version.ParsePrevResult(&conf.PluginConf); err != nil {
		return nil, types.NewError(types.ErrDecodingFailure, "prevResult cannot be read", err.Error())
	}
	result, err := current.NewResultFromResult(conf.PrevResult)
	if err != nil {
		return nil, types.NewError(types.ErrDecodingFailure, "prevResult cannot be read", err.Error())
	}
	if result.DNS.IsEmpty() {
		result.DNS = conf.DNS
	}
	return result, nil
}

// resultOf adds to the previous result: for each network the bridge, the node's and the container's link, and the
// addresses and routes of the container's link.
func resultOf(result *current.Result, ports []*port, netns string) *current.Result {
	for _, p := range ports {
		at := len(result.Interfaces) + 2
		result.Interfaces = append(result.Interfaces,
			&current.Interface{Name: p.Bridge, Mac: p.GatewayMAC.String(), Mtu: p.MTU},
			&current.Interface{Name: p.host, Mac: p.hostMAC.String(), Mtu: p.MTU},
			&current.Interface{Name: p.Interface, Mac: p.innerMAC.String(), Mtu: p.MTU, Sandbox: netns},
		)
		for _, one := range p.leases {
			address := *ipNet(one.prefix)
			address.IP = one.prefix.Addr().AsSlice()
			result.IPs = append(result.IPs, &current.IPConfig{
				Interface: current.Int(at), Address: address, Gateway: one.gateway.AsSlice(),
			})
		}
		for _, route := range p.Routes {
			result.Routes = append(result.Routes, &types.Route{Dst: *ipNet(route), GW: p.gateway(route).AsSlice()})
		}
	}
	return result
}

// printResult prints the same as the library's function, which parses its own output again to leave out an empty dns.
func printResult(result *current.Result, asked string) error {
	if older, err := version.GreaterThan("1.0.0", asked); older || err != nil {
		return types.PrintResult(result, asked)
	}
	type lean struct {
		CNIVersion string               `json:"cniVersion"`
		Interfaces []*current.Interface `json:"interfaces,omitempty"`
		IPs        []*current.IPConfig  `json:"ips,omitempty"`
		Routes     []*types.Route       `json:"routes,omitempty"`
		DNS        *types.DNS           `json:"dns,omitempty"`
	}
	said := lean{asked, result.Interfaces, result.IPs, result.Routes, nil}
	if !result.DNS.IsEmpty() {
		said.DNS = &result.DNS
	}
	text, err := json.Marshal(said)
	if err == nil {
		_, err = os.Stdout.Write(append(text, '\n'))
	}
	return err
}
