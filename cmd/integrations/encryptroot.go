package main

import (
	"errors"
	"fmt"

	"github.com/seed677028b5/integrations/vault"
)

// encryptRootCommand encrypts the root keyset in the data folder. It needs no NATS server.
type encryptRootCommand struct {
	storeFlags `embed:""`
}

func (c encryptRootCommand) Run(s console) error {
	if c.RootKeyURI == "" {
		return errors.New("--root-key-uri names no key")
	}
	keys, err := c.rootKeys()
	if err != nil {
		return err
	}
	changed, err := vault.EncryptRoot(keys)
	if err != nil {
		return err
	}
	text := "root.keyset was encrypted by this key before; it is unchanged"
	if changed {
		text = "root.keyset is encrypted; start the service with --root-key-uri. Copies in clear text still open every secret, until `integrations keys rotate-root`"
	}
	_, err = fmt.Fprintln(s.out, text)
	return err
}
