package main

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAddGivesAnInterfaceThatWorksAtOnce(t *testing.T) {
	n := newNode(t, dual)
	a, b := n.container(), n.container()
	first, second := n.add(a), n.add(b)
	for _, from := range []*container{a, b} {
		for _, to := range []string{"9.1.1.1", "fd01:b:0:1::1"} {
			from.reaches(t, to)
		}
	}
	a.reaches(t, second.IPs[0].Address.IP.String())
	b.reaches(t, first.IPs[1].Address.IP.String())
	n.reaches(t, first.IPs[0].Address.IP.String())
	n.del(a)
	n.del(b)
	n.nothingLeft()
}

func TestAddConfiguresBothEnds(t *testing.T) {
	n := newNode(t, dual)
	c := n.container()
	result := n.add(c)
	port, inner := result.Interfaces[1], result.Interfaces[2]
	contains(t, n.sh(t, "ip -d link show "+port.Name),
		"master m-dual", "alias overlaynet", "mtu 1430", "hairpin on", "addrgenmode none", "link/ether "+port.Mac, "state UP")
	contains(t, c.sh(t, "ip -d link show eth0"), "mtu 1430", "addrgenmode none", "link/ether "+inner.Mac, "state UP")
	addresses := c.sh(t, "ip -o address show dev eth0")
	contains(t, addresses, "9.1.1.2/25 brd 9.1.1.127", "fd01:b:0:1::2/80", "fe80::", "valid_lft forever preferred_lft forever")
	if strings.Contains(addresses, "tentative") || strings.Count(addresses, "\n") != 3 {
		t.Errorf("not three addresses that are in use at once: %s", addresses)
	}
	contains(t, c.sh(t, "ip route show"), "default via 9.1.1.1 dev eth0", "9.1.1.0/25 dev eth0")
	contains(t, c.sh(t, "ip -6 route show"), "default via fd01:b:0:1::1 dev eth0", "fd01:b:0:1::/80 dev eth0")
	contains(t, c.sh(t, "sysctl net.ipv6.conf.eth0.accept_ra"), "= 0")
	if own := n.sh(t, "ip -6 -o address show dev "+port.Name); own != "" {
		t.Errorf("the node's end has an address: %s", own)
	}
}

func TestAContainerOfAnIPv4NetworkHasNoIPv6(t *testing.T) {
	n := newNode(t, dcos)
	c := n.container()
	n.add(c)
	if addresses := c.sh(t, "ip -6 -o address show dev eth0"); addresses != "" {
		t.Errorf("it has %s", addresses)
	}
}

func TestAnIPv6NetworkWorksWhereIPv6WasOff(t *testing.T) {
	n := newNode(t, six)
	c := n.container()
	c.sh(t, "sysctl -q -w net.ipv6.conf.default.disable_ipv6=1")
	n.add(c)
	c.reaches(t, "fd01:c:0:1::1")
}

func TestAddWritesDownWhatItMakes(t *testing.T) {
	n := newNode(t, dual)
	c := n.container()
	result := n.call("ADD", c, nil, "CNI_ARGS=IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0;K8S_POD_UID=1-2").result(t)
	text, err := os.ReadFile(n.records()[0])
	if err != nil {
		t.Fatal(err)
	}
	var record, want map[string]any
	if err := json.Unmarshal(text, &record); err != nil {
		t.Fatal(err)
	}
	id := identify(c.id, "eth0")
	json.Unmarshal([]byte(`{"version":1,"conflist":"overlaynet","containerID":"`+c.id+`","ifname":"eth0","netns":"`+c.path+`",
		"namespace":"shop","pod":"web-0","interfaces":[{"network":"dual","name":"eth0","host":"`+id.host+`",
		"mac":"`+result.Interfaces[2].Mac+`","bridge":"m-dual",
		"addresses":["9.1.1.2","fd01:b:0:1::2","`+linkLocal(id.innerMAC).String()+`"]}]}`), &want)
	got, _ := json.Marshal(record)
	wanted, _ := json.Marshal(want)
	if string(got) != string(wanted) {
		t.Errorf("%s is not %s", got, wanted)
	}
	if name := filepath.Base(n.records()[0]); name != c.id+":eth0.json" {
		t.Errorf("its name is %s", name)
	}
}

func TestTheAgentIsAskedForThePodsNetwork(t *testing.T) {
	n := newNode(t, dcos)
	c := n.container()
	n.call("ADD", c, map[string]any{
		"network":       "dcos",
		"runtimeConfig": map[string]any{annotationsCapability: map[string]string{"overlaynet.dev/network": "dcos,dual", "other": "x"}},
	}, "CNI_ARGS=K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0;K8S_POD_UID=1-2;K8S_POD_INFRA_CONTAINER_ID=x").result(t)
	want := question{c.id, "eth0", "shop", "web-0", "dcos,dual", true, "dcos"}
	if got := n.agent.received[0]; got != want {
		t.Errorf("asked %+v, not %+v", got, want)
	}
	for at, none := range []any{map[string]string{}, nil} {
		more := map[string]any{"runtimeConfig": map[string]any{annotationsCapability: none}}
		n.call("ADD", n.container(), more, "CNI_ARGS=K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0").result(t)
		if got := n.agent.received[at+1]; got.Annotation != "" || !got.Annotated {
			t.Errorf("asked %+v where the pod has no annotations", got)
		}
	}
	n.call("ADD", n.container(), nil, "CNI_ARGS=K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0").result(t)
	if got := n.agent.received[3]; got.Annotated {
		t.Errorf("asked %+v where no annotations were handed over", got)
	}
	n.add(n.container())
	if got := n.agent.received[4]; got.Annotation != "" || got.Network != "" || got.Pod != "" {
		t.Errorf("asked %+v outside Kubernetes", got)
	}
}

func TestSeveralNetworksInOneAdd(t *testing.T) {
	n := newNode(t, dcos, dual, six)
	c := n.container()
	result := n.add(c)
	var got []string
	for _, ip := range result.IPs {
		got = append(got, result.Interfaces[*ip.Interface].Name+" "+ip.Address.String()+" via "+ip.Gateway.String())
	}
	want := []string{
		"eth0 9.0.1.2/25 via 9.0.1.1", "eth1 9.1.1.2/25 via 9.1.1.1",
		"eth1 fd01:b:0:1::2/80 via fd01:b:0:1::1", "eth2 fd01:c:0:1::2/80 via fd01:c:0:1::1",
	}
	if strings.Join(got, ", ") != strings.Join(want, ", ") {
		t.Errorf("it has %v, not %v", got, want)
	}
	// the default route of each family is through the first network that has the family
	contains(t, c.sh(t, "ip route show default"), "default via 9.0.1.1 dev eth0")
	contains(t, c.sh(t, "ip -6 route show default"), "default via fd01:b:0:1::1 dev eth1")
	if len(result.Routes) != 2 {
		t.Errorf("there are routes %v", result.Routes)
	}
	for _, gateway := range []string{"9.0.1.1", "9.1.1.1", "fd01:b:0:1::1", "fd01:c:0:1::1"} {
		c.reaches(t, gateway)
	}
	if s := n.call("CHECK", c, map[string]any{"prevResult": result}); s.failed {
		t.Errorf("CHECK: %s", s.stdout)
	}
	n.del(c)
	n.nothingLeft()
}

func TestRoutesThatTheAgentNamesBesideTheDefaultOne(t *testing.T) {
	n := newNode(t, dcos)
	n.agent.answers(func(w http.ResponseWriter, q question) {
		w.Write([]byte(`{"networks":[{"name":"dcos","interface":"eth0","bridge":"m-dcos","mtu":1450,"gatewayMAC":"02:4f:4f:00:00:01",
			"ranges":[{"subnet":"9.0.1.0/25","gateway":"9.0.1.1"}],"defaultRoutes":[],"routes":["9.0.0.0/8"]}]}`))
	})
	c := n.container()
	n.add(c)
	if routes := c.sh(t, "ip route show"); strings.Contains(routes, "default") || !strings.Contains(routes, "9.0.0.0/8 via 9.0.1.1") {
		t.Errorf("routes: %s", routes)
	}
}

func TestANetworkWithSeveralBlocksOfOneFamily(t *testing.T) {
	small := dcos
	small.Ranges = []offeredRange{{"9.0.1.0/30", "9.0.1.1"}, {"9.0.2.0/30", "9.0.2.1"}}
	n := newNode(t, small)
	for _, want := range []string{"9.0.1.2/30 via 9.0.1.1", "9.0.2.2/30 via 9.0.2.1"} {
		c := n.container()
		ip := n.add(c).IPs[0]
		if got := ip.Address.String() + " via " + ip.Gateway.String(); got != want {
			t.Errorf("it has %s, not %s", got, want)
		}
		c.reaches(t, ip.Gateway.String())
	}
}

func TestTheNodeReachesTheNextHolderOfAnAddressAtOnce(t *testing.T) {
	small := dcos
	small.Ranges = []offeredRange{{"9.0.1.0/29", "9.0.1.1"}}
	n := newNode(t, small)
	for range 4 {
		n.add(n.container())
	}
	former := n.container()
	address := n.add(former).IPs[0].Address.IP.String()
	n.reaches(t, address)
	n.del(former)
	next := n.container()
	if got := n.add(next).IPs[0].Address.IP.String(); got != address {
		t.Fatalf("it has %s, not %s", got, address)
	}
	n.reaches(t, address)
}

func TestWhatAContainerMaySendAsIsKnownBeforeItIsUp(t *testing.T) {
	n := newNode(t, dual)
	n.spoofTable()
	c := n.container()
	result := n.add(c)
	inner := result.Interfaces[2].Mac
	elements := n.sh(t, "nft list table bridge overlaynet")
	contains(t, elements, inner+" . 9.1.1.2", inner+" . fd01:b:0:1::2", inner+" . fe80::", `"`+result.Interfaces[1].Name+`"`)
	c.reaches(t, "9.1.1.1")
	n.del(c)
	if elements := n.sh(t, "nft list table bridge overlaynet"); strings.Contains(elements, inner) {
		t.Errorf("elements are left: %s", elements)
	}
	n.nothingLeft()
}

func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in: %s", part, text)
		}
	}
}
