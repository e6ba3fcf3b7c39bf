package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"
)

// Three networks of a node, as an agent offers them: IPv4, dual-stack and IPv6.
var (
	dcos = offer{Name: "dcos", Bridge: "m-dcos", MTU: 1450, GatewayMAC: "02:4f:4f:00:00:01",
		Ranges: []offeredRange{{"9.0.1.0/25", "9.0.1.1"}}}
	dual = offer{Name: "dual", Bridge: "m-dual", MTU: 1430, GatewayMAC: "02:4f:4f:00:00:02",
		Ranges: []offeredRange{{"9.1.1.0/25", "9.1.1.1"}, {"fd01:b:0:1::/80", "fd01:b:0:1::1"}}}
	six = offer{Name: "six", Bridge: "m-six", MTU: 1430, GatewayMAC: "02:4f:4f:00:00:03",
		Ranges: []offeredRange{{"fd01:c:0:1::/80", "fd01:c:0:1::1"}}}
)

type offeredRange struct {
	Subnet  string `json:"subnet"`
	Gateway string `json:"gateway"`
}

// offer is one network in an agent's reply, in the agreed format.
type offer struct {
	Name          string         `json:"name"`
	Interface     string         `json:"interface"`
	Bridge        string         `json:"bridge"`
	MTU           int            `json:"mtu"`
	GatewayMAC    string         `json:"gatewayMAC"`
	Ranges        []offeredRange `json:"ranges"`
	DefaultRoutes []string       `json:"defaultRoutes"`
}

// ending is the plugin's report of a command that ended, in the agreed format.
type ending struct {
	Command string  `json:"command"`
	Code    uint    `json:"code"`
	Seconds float64 `json:"seconds"`
}

// fakeAgent answers as the agent does.
type fakeAgent struct {
	socket string
	server *http.Server

	listener *net.UnixListener

	mutex    sync.Mutex
	offers   []offer
	usage    string
	answer   func(http.ResponseWriter, question)
	received []question
	ended    []ending
	// halfway are the connections that have received half an answer; cut counts those that a kill ended.
	halfway map[net.Conn]bool
	cut     int
}

func startAgent(t testing.TB, socket string, offers ...offer) *fakeAgent {
	t.Helper()
	a := &fakeAgent{socket: socket, offers: offers}
	a.listen(t)
	t.Cleanup(a.stop)
	return a
}

func (a *fakeAgent) listen(t testing.TB) {
	t.Helper()
	listener, err := net.Listen("unix", a.socket)
	if err != nil {
		t.Fatal(err)
	}
	a.listener = listener.(*net.UnixListener)
	a.server = &http.Server{Handler: a}
	go a.server.Serve(listener)
}

func (a *fakeAgent) stop() { a.server.Close() }

// kill ends the agent as SIGKILL does: connections are reset, and its socket file stays.
func (a *fakeAgent) kill() {
	a.listener.SetUnlinkOnClose(false)
	a.server.Close()
	a.mutex.Lock()
	defer a.mutex.Unlock()
	for connection := range a.halfway {
		connection.Close()
		a.cut++
	}
	a.halfway = nil
}

// inHalves makes the agent send answers in two parts, so that it can be killed between them.
func (a *fakeAgent) inHalves(pause time.Duration) {
	a.answers(func(w http.ResponseWriter, asked question) {
		body, _ := json.Marshal(map[string]any{"networks": reply(asked, a.offers)})
		connection, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer connection.Close()
		a.mutex.Lock()
		a.halfway = map[net.Conn]bool{connection: true}
		fmt.Fprintf(connection, "HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body[:len(body)/2])
		a.mutex.Unlock()
		time.Sleep(pause)
		a.mutex.Lock()
		defer a.mutex.Unlock()
		delete(a.halfway, connection)
		connection.Write(body[len(body)/2:])
	})
}

// restart replaces the socket file of a killed agent, as the agent does when it starts.
func (a *fakeAgent) restart(t testing.TB) {
	os.Remove(a.socket)
	a.listen(t)
}

func (a *fakeAgent) answers(with func(http.ResponseWriter, question)) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	a.answer = with
}

func (a *fakeAgent) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var asked question
	if r.URL.Path == donePath {
		a.takeDone(r)
		return
	}
	if r.Method == http.MethodPost && r.URL.Path == "/v1/usage" && a.usage != "" {
		json.NewEncoder(w).Encode(map[string]string{"usage": a.usage})
		return
	}
	if r.Method != http.MethodPost || r.URL.Path != networksPath || json.NewDecoder(r.Body).Decode(&asked) != nil {
		http.Error(w, `{"code":104,"msg":"bad request"}`, http.StatusBadRequest)
		return
	}
	a.mutex.Lock()
	a.received = append(a.received, asked)
	offers, answer := a.offers, a.answer
	a.mutex.Unlock()
	if answer != nil {
		answer(w, asked)
		return
	}
	writeNetworks(w, reply(asked, offers))
}

func (a *fakeAgent) takeDone(r *http.Request) {
	var ended ending
	if json.NewDecoder(r.Body).Decode(&ended) == nil {
		a.mutex.Lock()
		defer a.mutex.Unlock()
		a.ended = append(a.ended, ended)
	}
}

func writeNetworks(w http.ResponseWriter, networks []offer) {
	json.NewEncoder(w).Encode(map[string]any{"networks": networks})
}

// reply assigns interface names, and gives each family's default route to the first network that has the family.
func reply(asked question, offers []offer) []offer {
	var networks []offer
	routed := map[string]bool{}
	next := 0
	for at, one := range offers {
		one.Interface = asked.IfName
		if at > 0 {
			next++
			if fmt.Sprintf("eth%d", next) == asked.IfName {
				next++
			}
			one.Interface = fmt.Sprintf("eth%d", next)
		}
		one.DefaultRoutes = []string{}
		for _, part := range one.Ranges {
			everything := "0.0.0.0/0"
			if netip.MustParseAddr(part.Gateway).Is6() {
				everything = "::/0"
			}
			if !routed[everything] {
				routed[everything] = true
				one.DefaultRoutes = append(one.DefaultRoutes, everything)
			}
		}
		networks = append(networks, one)
	}
	return networks
}
