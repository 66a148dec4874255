// Faultproxy is Toxiproxy as a process of its own. It prints the URL of its API, and
// ends with its standard input.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/gorilla/mux"
	"github.com/rs/zerolog"
)

func main() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	api := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	routes := mux.NewRouter() // those of Toxiproxy, which listens on no free port by itself
	routes.HandleFunc("/proxies", api.ProxyCreate).Methods(http.MethodPost)
	routes.HandleFunc("/proxies/{proxy}", api.ProxyUpdate).Methods(http.MethodPost)
	routes.HandleFunc("/proxies/{proxy}", api.ProxyDelete).Methods(http.MethodDelete)
	routes.HandleFunc("/proxies/{proxy}/toxics", api.ToxicIndex).Methods(http.MethodGet)
	routes.HandleFunc("/proxies/{proxy}/toxics", api.ToxicCreate).Methods(http.MethodPost)
	routes.HandleFunc("/proxies/{proxy}/toxics/{toxic}", api.ToxicDelete).Methods(http.MethodDelete)
	go func() { _ = http.Serve(l, routes) }()
	fmt.Println("http://" + l.Addr().String())
	_, _ = io.Copy(io.Discard, os.Stdin)
}
