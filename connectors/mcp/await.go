package mcp

import (
	"context"
	"fmt"
)

// await returns what do returns, or the error of ctx as soon as that ends: not every
// wait of the SDK ends with it. A panic of the SDK, by a hostile answer, is an error too.
func await(ctx context.Context, do func() error) error {
	done := make(chan error, 1)
	go func() {
		var err error
		defer func() {
			if recovered := recover(); recovered != nil {
				err = fmt.Errorf("the MCP client panicked: %v", recovered)
			}
			done <- err
		}()
		err = do()
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
