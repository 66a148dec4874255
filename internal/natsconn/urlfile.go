package natsconn

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"time"
)

// urlFile is the file in which a service writes the URL of its embedded server. It is
// read at each connection, because the address and the password change when the
// service restarts.
type urlFile string

func (file urlFile) read() (*url.URL, error) {
	text, err := os.ReadFile(string(file))
	if err != nil {
		return nil, fmt.Errorf("the running service is not ready: %w", err)
	}
	return url.Parse(strings.TrimSpace(string(text)))
}

// Dial implements nats.CustomDialer.
func (file urlFile) Dial(network, _ string) (net.Conn, error) {
	at, err := file.read()
	if err != nil {
		return nil, err
	}
	return (&net.Dialer{Timeout: 2 * time.Second}).DialContext(context.Background(), network, at.Host)
}

func (file urlFile) user() (name, password string) {
	at, err := file.read()
	if err != nil {
		return "", ""
	}
	password, _ = at.User.Password()
	return at.User.Username(), password
}
