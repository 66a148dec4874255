package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// healthcheckCommand checks whether a running service is ready.
type healthcheckCommand struct {
	URL      string `help:"Base URL of the service." default:"http://127.0.0.1:8080" schemes:"http,https" example:"http://127.0.0.1:8080"`
	Insecure bool   `help:"Accept any certificate, as for a check on the same machine under the address 127.0.0.1."`
}

func (c healthcheckCommand) Run(s console) error {
	req, err := http.NewRequestWithContext(s.ctx, http.MethodGet, strings.TrimSuffix(c.URL, "/")+"/readyz", nil)
	if err != nil {
		return err
	}
	certificates := &tls.Config{InsecureSkipVerify: c.Insecure} //nolint:gosec // no credentials are sent
	res, err := (&http.Client{Timeout: 4 * time.Second, Transport: &http.Transport{TLSClientConfig: certificates}}).Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(res.Body, 4096))
		return fmt.Errorf("not ready: %s: %s", res.Status, body)
	}
	_, err = fmt.Fprintln(s.out, "ready")
	return err
}
