package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/seed677028b5/integrations/internal/objects"
	"github.com/seed677028b5/integrations/transparency/archive"
	"github.com/seed677028b5/integrations/verify"
)

// verifyCommand compares the log, the read model and the vault.
type verifyCommand struct {
	JSON       bool          `name:"json" help:"Write JSON."`
	Checkpoint string        `help:"File of checkpoints that were held elsewhere, to compare the logs with." type:"path"`
	Archive    string        `help:"Folder or s3://BUCKET/PREFIX of an archive, to compare the logs with: each message that both have, byte for byte."`
	CatchUp    time.Duration `help:"How long to wait until the read model shows the whole log." default:"1m"`
	storeFlags `embed:""`
}

func (c verifyCommand) Run(s console) (err error) {
	conn, events, running, err := c.attachLog(s)
	if err != nil {
		return err
	}
	defer conn.Close()
	secrets, err := c.openVault(s.ctx, conn, events)
	if err != nil {
		return err
	}
	proofs, err := openTrees(s.ctx, conn.NATS, events, secrets, c.Replicas)
	if err != nil {
		return err
	}
	mark, err := c.folder().ReadMark()
	if err != nil {
		return err
	}
	var held []byte
	if c.Checkpoint != "" {
		if held, err = readHeld(c.Checkpoint); err != nil {
			return err
		}
	}
	var archived archive.Objects
	if c.Archive != "" {
		if archived, err = objects.Open(c.Archive); err != nil {
			return fmt.Errorf("--archive: %w", err)
		}
	}
	generations, err := c.openGenerations(s.ctx, s.log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, generations.Close()) }()
	report, err := verify.Run(s.ctx, verify.Config{
		Events: events, Vault: secrets, Mark: mark, Generations: generations, Followed: running, CatchUp: c.CatchUp, Now: time.Now, Proofs: proofs, Held: held, Archive: archived, Progress: s.err, Log: s.log,
	})
	if err != nil {
		return err
	}
	if c.JSON {
		err = s.writeJSON(report)
	} else {
		err = report.WriteText(s.out)
	}
	if err == nil && len(report.Problems) > 0 {
		return errProblemsFound
	}
	return err
}
