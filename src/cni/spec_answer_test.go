package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	current "github.com/containernetworking/cni/pkg/types/100"
)

// answering are the sentences about lifecycle, results and errors.
var answering = []sentence{
	{"Lifecycle", "Plugins must handle being executed concurrently across different containers. If necessary, they must implement locking on shared resources (e.g. IPAM databases).", wholeTest(TestContainersThatStartTogetherGetAddressesOfTheirOwn)},
	{"Lifecycle", "A delete must still be executed even if the add fails.", func(t *testing.T, n *node) {
		c := n.container()
		n.sh(t, "ip link del m-dual")
		n.call("ADD", c, nil)
		n.del(c)
		n.nothingLeft()
	}},
	{"Lifecycle", "delete may be followed by additional deletes.", func(t *testing.T, n *node) {
		c := n.container()
		n.del(c)
		n.del(c)
	}},
	{"ADD Success", "cniVersion: The same version supplied on input.", func(t *testing.T, n *node) {
		for _, version := range versions.SupportedVersions() {
			n.version = version
			var header struct{ CNIVersion string }
			s := n.call("ADD", n.container(), nil)
			if json.Unmarshal([]byte(s.stdout), &header); header.CNIVersion != version {
				t.Errorf("asked for %s it gives %s", version, s.stdout)
			}
		}
	}},
	{"ADD Success", "interfaces: An array of all interfaces created by the attachment, including any host-level interfaces.", func(t *testing.T, n *node) {
		c := n.container()
		result := n.add(c)
		id := identify(c.id, "eth0")
		for at, want := range []current.Interface{
			{Name: "m-dual", Mac: "02:4f:4f:00:00:02", Mtu: 1430},
			{Name: id.host, Mac: id.hostMAC.String(), Mtu: 1430},
			{Name: "eth0", Mac: id.innerMAC.String(), Mtu: 1430, Sandbox: c.path},
		} {
			if *result.Interfaces[at] != want {
				t.Errorf("interface %d is %+v, not %+v", at, result.Interfaces[at], want)
			}
		}
		contains(t, c.sh(t, "ip link show eth0"), id.innerMAC.String(), "mtu 1430")
	}},
	{"ADD Success", "sandbox: For interfaces created inside the container, this should be the value passed via CNI_NETNS.", func(t *testing.T, n *node) {
		c := n.container()
		if got := n.add(c).Interfaces[2].Sandbox; got != c.path {
			t.Errorf("it is %s", got)
		}
	}},
	{"ADD Success", "ips: IPs assigned by this attachment: address in CIDR notation, gateway, interface: the index into the interfaces list.", func(t *testing.T, n *node) {
		result := n.add(n.container())
		for at, want := range []string{"9.1.1.2/25 9.1.1.1", "fd01:b:0:1::2/80 fd01:b:0:1::1"} {
			ip := result.IPs[at]
			if got := ip.Address.String() + " " + ip.Gateway.String(); got != want || *ip.Interface != 2 {
				t.Errorf("it is %s on %d, not %s", got, *ip.Interface, want)
			}
		}
	}},
	{"ADD Success", "routes: Routes created by this attachment.", func(t *testing.T, n *node) {
		result := n.add(n.container())
		for at, want := range []string{"0.0.0.0/0 9.1.1.1", "::/0 fd01:b:0:1::1"} {
			if got := result.Routes[at].Dst.String() + " " + result.Routes[at].GW.String(); got != want {
				t.Errorf("it is %s, not %s", got, want)
			}
		}
	}},
	{"ADD Success", "dns: A dictionary consisting of DNS configuration information.", func(t *testing.T, n *node) {
		all := `{"nameservers":["9.1.1.1"],"domain":"shop","search":["shop","cluster"],"options":["ndots:5"]}`
		s := n.call("ADD", n.container(), map[string]any{"dns": json.RawMessage(all)})
		if s.failed || !strings.Contains(s.stdout, `"dns":`+all) {
			t.Errorf("it says %s", s.stdout)
		}
		// without configured DNS, the result has none
		if s := n.call("ADD", n.container(), nil); strings.Contains(s.stdout, "dns") {
			t.Errorf("it says %s", s.stdout)
		}
	}},
	{"ADD Success", "Plugins provided a prevResult key as part of their request configuration must output it as their result, with any possible modifications made by that plugin included.", func(t *testing.T, n *node) {
		parts := map[string]string{
			"interfaces": `{"name":"first0","mac":"0a:00:00:00:00:01","mtu":1400,"sandbox":"/x"}`,
			"ips":        `{"interface":0,"address":"10.0.0.2/24","gateway":"10.0.0.1"}`,
			"routes":     `{"dst":"10.9.0.0/16","gw":"10.0.0.1","mtu":1300}`,
		}
		dns := `"dns":{"nameservers":["10.0.0.9"],"search":["first"]}`
		before := `{"cniVersion":"1.1.0",` + dns
		for name, part := range parts {
			before += `,"` + name + `":[` + part + `]`
		}
		s := n.call("ADD", n.container(), map[string]any{"prevResult": json.RawMessage(before + "}"), "dns": map[string]any{"domain": "ours"}})
		for name, part := range parts {
			contains(t, s.stdout, `"`+name+`":[`+part+`,{`)
		}
		contains(t, s.stdout, dns)
	}},
	{"VERSION Success", "cniVersion: The value of cniVersion specified on input; supportedVersions: A list of supported specification versions.", versionCommand},
	{"Error", "Plugins should output a JSON object with the following keys if they encounter an error: cniVersion, code, msg, details.", errorStructure},
	{"Error", "Error codes 0-99 are reserved for well-known errors. Values of 100+ can be freely used for plugin specific errors.", func(t *testing.T, n *node) {
		n.agent.answers(func(w http.ResponseWriter, q question) {
			w.WriteHeader(404)
			io.WriteString(w, `{"code":100,"msg":"there is no network x"}`)
		})
		if code := n.call("ADD", n.container(), nil).error().Code; code != 100 {
			t.Errorf("its code is %d", code)
		}
	}},
	{"Error", "1: Incompatible CNI version.", func(t *testing.T, n *node) {
		for _, version := range []string{"0.2.0", "1.2.0"} {
			n.version = version
			if code := n.call("ADD", n.container(), nil).error().Code; code != 1 {
				t.Errorf("of %s: code %d", version, code)
			}
		}
	}},
	{"Error", "2: Unsupported field in network configuration. (Not used: fields that it does not know are others'.)", func(t *testing.T, n *node) {
		n.call("ADD", n.container(), map[string]any{"ipMasq": true, "ipam": map[string]any{"type": "host-local"}, "args": map[string]any{"x": 1}}).result(t)
	}},
	{"Error", "3: Container unknown or does not exist. This error implies the runtime does not need to perform any container network cleanup.", func(t *testing.T, n *node) {
		if s := n.call("ADD", n.container(), nil, "CNI_NETNS=/var/run/netns/gone"); s.error().Code != 3 {
			t.Errorf("it says %s", s.stdout)
		}
		n.nothingLeft()
		c := n.container()
		result := n.add(c)
		if s := n.call("CHECK", c, map[string]any{"prevResult": result}, "CNI_NETNS=/var/run/netns/gone"); s.error().Code != 3 {
			t.Errorf("CHECK says %s", s.stdout)
		}
		// an error would make a runtime retry the DEL for ever
		if s := n.call("DEL", c, nil, "CNI_NETNS=/var/run/netns/gone"); s.failed {
			t.Errorf("DEL says %s", s.stdout)
		}
		n.nothingLeft()
	}},
	{"Error", "4: Invalid necessary environment variables. The error message must contain the names of invalid variables.", func(t *testing.T, n *node) {
		missing(t, n, "ADD", "CNI_IFNAME", "CNI_NETNS", "CNI_CONTAINERID")
		for _, variable := range []string{"CNI_NETNS=/etc/hostname", "CNI_ARGS=K8S_POD_NAMESPACE=shop;K8S_POD_NAME=a/b"} {
			s := n.call("ADD", n.container(), nil, variable)
			name, _, _ := strings.Cut(variable, "=")
			if s.error().Code != 4 || !strings.Contains(s.error().Msg, name) {
				t.Errorf("it says %s", s.stdout)
			}
		}
	}},
	{"Error", "5: I/O failure. For example, failed to read network config bytes from stdin.", func(t *testing.T, n *node) {
		for _, command := range []string{"ADD", "DEL"} {
			cmd, wait := n.prepare(command, n.container(), nil)
			unreadable, err := os.Open(n.dir) // reading bytes of a directory fails
			if err != nil {
				t.Fatal(err)
			}
			defer unreadable.Close()
			cmd.Stdin = unreadable
			if err := n.start(cmd); err != nil {
				t.Fatal(err)
			}
			if s := wait(); !s.failed || s.error().Code != 5 {
				t.Errorf("%s says %s", command, s.stdout)
			}
		}
	}},
	{"Error", "6: Failed to decode content.", func(t *testing.T, n *node) {
		if code := n.call("ADD", n.container(), map[string]any{"socket": 7}).error().Code; code != 6 {
			t.Errorf("its code is %d", code)
		}
	}},
	{"Error", "7: Invalid network config.", func(t *testing.T, n *node) {
		if code := n.call("ADD", n.container(), map[string]any{"leaseDir": "var"}).error().Code; code != 7 {
			t.Errorf("its code is %d", code)
		}
	}},
	{"Error", "11: Try again later. If the plugin detects some transient condition that should clear up, it can use this code to notify the runtime it should re-try the operation later.", func(t *testing.T, n *node) {
		n.agent.stop()
		if code := n.call("ADD", n.container(), nil).error().Code; code != 11 {
			t.Errorf("its code is %d", code)
		}
	}},
	{"Error", "51: The plugin is not available, and existing containers in the network may have limited connectivity. (Not used: existing containers need neither the plugin nor the agent.)", func(t *testing.T, n *node) {
		c := n.container()
		n.add(c)
		n.agent.stop()
		if code := n.call("STATUS", nil, nil).error().Code; code != 50 {
			t.Errorf("its code is %d", code)
		}
		c.reaches(t, "9.1.1.1")
	}},
	{"Error", "In addition, stderr can be used for unstructured output such as logs.", wholeTest(TestDelKeepsACorruptRecordAside)},
}

func versionCommand(t *testing.T, n *node) {
	for _, asked := range []string{"1.1.0", "0.3.1"} {
		n.version = asked
		s := n.call("VERSION", nil, nil)
		var got struct {
			CNIVersion        string
			SupportedVersions []string
		}
		if err := json.Unmarshal([]byte(s.stdout), &got); err != nil || s.failed {
			t.Fatalf("VERSION: %v %s", err, s.stdout)
		}
		if want := []string{"0.3.1", "0.4.0", "1.0.0", "1.1.0"}; !slices.Equal(got.SupportedVersions, want) || got.CNIVersion != asked {
			t.Errorf("VERSION: %+v", got)
		}
	}
}

func errorStructure(t *testing.T, n *node) {
	n.agent.stop()
	n.version = "1.0.0"
	s := n.call("ADD", n.container(), nil)
	var got map[string]any
	if err := json.Unmarshal([]byte(s.stdout), &got); err != nil {
		t.Fatalf("%v: %s", err, s.stdout)
	}
	if got["cniVersion"] != "1.0.0" || got["code"] != float64(11) || got["msg"] == "" || got["details"] == "" {
		t.Errorf("the error is %v", got)
	}
}
