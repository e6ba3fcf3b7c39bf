// tool: what runs in the pods of the e2e tests. One static program, since its image has nothing else.
//
//	tool serve [ADDR…]     HTTP, saying who answers whom; UDP echo; /healthz, and /switch?healthy=false for it
//	tool get URL [TIMES]   prints the body, so many times; exit status 1 where the status is no 2xx
//	tool api PATH          the same from the API server, as a pod asks it: in cluster, with its ServiceAccount
//	tool fetch URL [TOKEN] the same over HTTPS with whatever certificate
//	tool lookup NAME       prints the addresses, one a line
//	tool udp HOST:PORT     sends one packet and prints what comes back
//	tool stream HOST:PORT  100 numbered packets a second, for ever; its report on :8081
//	tool address [LINK]    prints the addresses of its links
//	tool write FILE TEXT, tool exists FILE, tool sleep
package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) < 2 {
		fail(fmt.Errorf("usage: tool serve|get|lookup|udp|stream|address|write|exists|sleep …"))
	}
	args := append(os.Args[2:], "", "")
	switch os.Args[1] {
	case "serve":
		fail(serve(os.Args[2:]))
	case "get":
		times, _ := strconv.Atoi(args[1])
		for range max(times, 1) {
			fail(get(http.DefaultTransport.(*http.Transport).Clone(), args[0], ""))
		}
	case "fetch":
		transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
		fail(get(transport, args[0], args[1]))
	case "api":
		fail(api(args[0]))
	case "lookup":
		addresses, err := net.LookupHost(args[0])
		fail(err)
		for _, address := range addresses {
			fmt.Println(address)
		}
	case "udp":
		answer, err := ask(args[0], "hello")
		fail(err)
		fmt.Println(answer)
	case "stream":
		fail(stream(args[0]))
	case "address":
		fail(address(args[0]))
	case "write":
		fail(os.WriteFile(args[0], []byte(args[1]), 0o644))
	case "exists":
		_, err := os.Stat(args[0])
		fail(err)
	case "sleep":
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
		<-signals
	default:
		fail(fmt.Errorf("there is no %q", os.Args[1]))
	}
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func get(transport *http.Transport, url, token string) error {
	transport.DisableKeepAlives = true // a connection of its own each time: Services are to choose anew
	client := http.Client{Timeout: 4 * time.Second, Transport: transport}
	request, err := http.NewRequest("GET", url, nil)
	if err != nil {
		return err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(os.Stdout, response.Body); err != nil {
		return err
	}
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("HTTP %d", response.StatusCode)
	}
	return nil
}

func api(path string) error {
	const mounted = "/var/run/secrets/kubernetes.io/serviceaccount/"
	certificate, err := os.ReadFile(mounted + "ca.crt")
	if err != nil {
		return err
	}
	token, err := os.ReadFile(mounted + "token")
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(certificate)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	return get(transport, "https://kubernetes.default.svc"+path, string(token))
}

func ask(to, text string) (string, error) {
	connection, err := net.DialTimeout("udp", to, 4*time.Second)
	if err != nil {
		return "", err
	}
	defer connection.Close()
	connection.SetDeadline(time.Now().Add(4 * time.Second))
	if _, err := connection.Write([]byte(text)); err != nil {
		return "", err
	}
	answer := make([]byte, 1500)
	n, err := connection.Read(answer)
	return string(answer[:n]), err
}

func address(link string) error {
	links, err := net.Interfaces()
	if err != nil {
		return err
	}
	for _, one := range links {
		if one.Name == "lo" || (link != "" && one.Name != link) {
			continue
		}
		addresses, err := one.Addrs()
		if err != nil {
			return err
		}
		for _, address := range addresses {
			fmt.Println(one.Name, address)
		}
	}
	return nil
}
