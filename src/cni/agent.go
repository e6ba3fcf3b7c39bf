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

// networksPath is the agent's path for questions about a container's networks.
const networksPath = "/v1/networks"

// usageLimit bounds the text that is added to an error, which people read.
const usageLimit = 16 << 10

// question is the request to the agent, as sent over the socket.
type question struct {
	ContainerID string `json:"containerID"`
	IfName      string `json:"ifname"`
	Namespace   string `json:"namespace,omitempty"`
	Pod         string `json:"pod,omitempty"`
	Annotation  string `json:"annotation,omitempty"`
	// Annotated tells whether the runtime passed the pod's annotations. Only then does an empty annotation mean that
	// there is none.
	Annotated bool   `json:"annotated,omitempty"`
	Network   string `json:"network,omitempty"`
}

// network is a network that the container joins.
type network struct {
	Name      string
	Interface string
	Bridge    string
	MTU       int
	// GatewayMAC is the bridge's MAC address.
	GatewayMAC net.HardwareAddr
	// Ranges are the blocks from which addresses are leased: one of each family.
	Ranges []addressRange
	// Routes use the gateway; the default routes are among them.
	Routes []netip.Prefix
}

// addressRange is a block of this node. Its gateway is the bridge's address in it.
type addressRange struct {
	Subnet  netip.Prefix `json:"subnet"`
	Gateway netip.Addr   `json:"gateway"`
}

// ask returns the networks that the container belongs to according to the agent, in the order of its interfaces.
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

// withUsage adds to an error how full each network of this node is, if the agent answers.
func withUsage(socket string, full error) error {
	said := (*types.Error)(nil)
	if !errors.As(full, &said) {
		return full
	}
	status, reply, err := post(socket, "/v1/usage", []byte("{}"))
	if err != nil || status != 200 || len(reply) > usageLimit {
		return full // the original error is returned anyway; an agent of an older version does not know this request
	}
	var answer struct {
		Usage string `json:"usage"`
	}
	if json.Unmarshal(reply, &answer) != nil || answer.Usage == "" {
		return full
	}
	return types.NewError(said.Code, said.Msg, "on this node: "+answer.Usage)
}

func agentDown(socket string, err error) error {
	return types.NewError(types.ErrTryAgainLater,
		"the overlaynet agent of this node does not answer; is its pod running?", fmt.Sprintf("%s: %v", socket, err))
}

func garbage(socket, format string, values ...any) error {
	return types.NewError(types.ErrDecodingFailure, "the overlaynet agent's reply cannot be used: "+fmt.Sprintf(format, values...), socket)
}

// refusal turns the agent's refusal into an error.
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

// saidNetwork is a network in the agent's reply.
type saidNetwork struct {
	Name          string         `json:"name"`
	Interface     string         `json:"interface"`
	Bridge        string         `json:"bridge"`
	MTU           int            `json:"mtu"`
	GatewayMAC    string         `json:"gatewayMAC"`
	Ranges        []addressRange `json:"ranges"`
	DefaultRoutes []netip.Prefix `json:"defaultRoutes"`
	Routes        []netip.Prefix `json:"routes"`
}

// parseNetworks refuses values that cannot be used: names become file names, and everything else is passed to the
// kernel.
func parseNetworks(reply []byte, ifname string) ([]network, error) {
	var said struct {
		Networks []saidNetwork `json:"networks"`
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
		if utils.ValidateNetworkName(one.Name) != nil || names[one.Name] {
			return nil, fmt.Errorf("network %q: is no name, or is there twice", one.Name)
		}
		if utils.ValidateInterfaceName(one.Interface) != nil || interfaces[one.Interface] {
			return nil, fmt.Errorf("network %q: interface %q is no name, or is there twice", one.Name, one.Interface)
		}
		parsed, err := one.parse()
		if err != nil {
			return nil, fmt.Errorf("network %q: %w", one.Name, err)
		}
		names[one.Name], interfaces[one.Interface] = true, true
		networks = append(networks, parsed)
	}
	return networks, nil
}

// parse checks all fields except the names.
func (one saidNetwork) parse() (network, error) {
	wrong := func(format string, values ...any) (network, error) {
		return network{}, fmt.Errorf(format, values...)
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
	return network{one.Name, one.Interface, one.Bridge, one.MTU, mac, one.Ranges, routes}, nil
}
