package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/containernetworking/cni/pkg/types"
	"github.com/containernetworking/cni/pkg/utils"
)

// networksPath is where the agent takes questions.
const networksPath = "/v1/networks"

// question is what the agent is asked, as it goes over the socket.
type question struct {
	ContainerID string `json:"containerID"`
	IfName      string `json:"ifname"`
	Namespace   string `json:"namespace,omitempty"`
	Pod         string `json:"pod,omitempty"`
	Annotation  string `json:"annotation,omitempty"`
	// Annotated tells whether the pod's annotations were handed over, so that no annotation means none.
	Annotated bool   `json:"annotated,omitempty"`
	Network   string `json:"network,omitempty"`
}

// network is one that the container is to be on.
type network struct {
	Name      string
	Interface string
	Bridge    string
	MTU       int
	// GatewayMAC is the bridge's.
	GatewayMAC net.HardwareAddr
	// Ranges to take addresses from: one of each family.
	Ranges []addressRange
	// Routes to be reached by the gateway, the default ones among them.
	Routes []netip.Prefix
}

// addressRange is a block of this node, whose gateway is the bridge's address in it.
type addressRange struct {
	Subnet  netip.Prefix `json:"subnet"`
	Gateway netip.Addr   `json:"gateway"`
}

// ask has the agent say which networks the container belongs to, in the order of its interfaces.
func ask(socket string, asked question) ([]network, error) {
	body, err := json.Marshal(asked)
	if err != nil {
		return nil, err
	}
	status, reply, err := post(socket, networksPath, body)
	if err != nil {
		return nil, agentDown(socket, err)
	}
	if len(reply) > replyLimit {
		return nil, garbage(socket, "longer than %d bytes", replyLimit)
	}
	if status == 200 && len(reply) == 0 {
		return nil, agentDown(socket, errors.New("an empty reply"))
	}
	if status != 200 {
		return nil, refusal(socket, status, reply)
	}
	networks, err := parseNetworks(reply, asked.IfName)
	if err != nil {
		return nil, garbage(socket, "%v", err)
	}
	return networks, nil
}

func agentDown(socket string, err error) error {
	return types.NewError(types.ErrTryAgainLater,
		"the overlaynet agent of this node does not answer; is its pod running?", fmt.Sprintf("%s: %v", socket, err))
}

func garbage(socket, format string, values ...any) error {
	return types.NewError(types.ErrDecodingFailure, "the overlaynet agent's reply cannot be used: "+fmt.Sprintf(format, values...), socket)
}

// refusal passes on what the agent says.
func refusal(socket string, status int, reply []byte) error {
	var said types.Error
	if err := json.Unmarshal(reply, &said); err == nil && said.Msg != "" && said.Code != 0 {
		return &said
	}
	if status == 503 {
		return agentDown(socket, fmt.Errorf("HTTP %d", status))
	}
	return garbage(socket, "HTTP %d without a reason", status)
}

// parseNetworks takes nothing but what can be made: names become file names, and all else is told to the kernel.
func parseNetworks(reply []byte, ifname string) ([]network, error) {
	var said struct {
		Networks []struct {
			Name          string         `json:"name"`
			Interface     string         `json:"interface"`
			Bridge        string         `json:"bridge"`
			MTU           int            `json:"mtu"`
			GatewayMAC    string         `json:"gatewayMAC"`
			Ranges        []addressRange `json:"ranges"`
			DefaultRoutes []netip.Prefix `json:"defaultRoutes"`
			Routes        []netip.Prefix `json:"routes"`
		} `json:"networks"`
	}
	if err := json.Unmarshal(reply, &said); err != nil {
		return nil, err
	}
	if len(said.Networks) == 0 {
		return nil, fmt.Errorf("it names no network")
	}
	if said.Networks[0].Interface != ifname {
		return nil, fmt.Errorf("the first interface is %q, not %q", said.Networks[0].Interface, ifname)
	}
	var networks []network
	names, interfaces := map[string]bool{}, map[string]bool{}
	for _, one := range said.Networks {
		wrong := func(format string, values ...any) ([]network, error) {
			return nil, fmt.Errorf("network %q: "+format, append([]any{one.Name}, values...)...)
		}
		if utils.ValidateNetworkName(one.Name) != nil || names[one.Name] {
			return wrong("is no name, or is there twice")
		}
		if utils.ValidateInterfaceName(one.Interface) != nil || interfaces[one.Interface] {
			return wrong("interface %q is no name, or is there twice", one.Interface)
		}
		if utils.ValidateInterfaceName(one.Bridge) != nil {
			return wrong("bridge %q is no name of an interface", one.Bridge)
		}
		mac, err := net.ParseMAC(one.GatewayMAC)
		if err != nil || len(mac) != 6 {
			return wrong("gatewayMAC %q is no hardware address", one.GatewayMAC)
		}
		if one.MTU < 68 || one.MTU > 65535 {
			return wrong("mtu %d is not between 68 and 65535", one.MTU)
		}
		families := map[bool]bool{}
		for _, part := range one.Ranges {
			if !part.Subnet.IsValid() || part.Subnet != part.Subnet.Masked() || !part.Subnet.Contains(part.Gateway) {
				return wrong("subnet %v with gateway %v is no range", part.Subnet, part.Gateway)
			}
			families[part.Gateway.Is4()] = true
		}
		if len(families) == 0 {
			return wrong("there are no ranges")
		}
		routes := append(one.DefaultRoutes, one.Routes...)
		for _, route := range routes {
			if !route.IsValid() || route != route.Masked() || !families[route.Addr().Is4()] {
				return wrong("route %v is no subnet, or of a family without a range", route)
			}
		}
		names[one.Name], interfaces[one.Interface] = true, true
		networks = append(networks, network{one.Name, one.Interface, one.Bridge, one.MTU, mac, one.Ranges, routes})
	}
	return networks, nil
}
