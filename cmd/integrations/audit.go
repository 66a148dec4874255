package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/transparency"
	"github.com/seed677028b5/integrations/transparency/trees"
)

// auditCommand proves that the logs are complete and unchanged.
type auditCommand struct {
	Checkpoints auditCheckpointsCommand `cmd:"" help:"Write the signed checkpoints of the logs, to be held elsewhere."`
	Key         auditKeyCommand         `cmd:"" help:"Write the public key that verifies checkpoints."`
	Export      auditExportCommand      `cmd:"" help:"Write a log, or the part of a workspace, so that it can be verified without the service."`
	Verify      auditVerifyCommand      `cmd:"" help:"Verify an export against checkpoints that were held elsewhere; this needs no service."`
}

// openReader attaches to the trees.
func (f storeFlags) openReader(s console, use func(*trees.Reader) error) error {
	conn, events, _, err := f.attachLog(s)
	if err != nil {
		return err
	}
	defer conn.Close()
	secrets, err := f.openVault(s.ctx, conn, events)
	if err != nil {
		return err
	}
	reader, err := openTrees(s.ctx, conn.NATS, events, secrets, f.Replicas)
	if err != nil {
		return err
	}
	return use(reader)
}

type auditKeyCommand struct {
	storeFlags `embed:""`
}

func (c auditKeyCommand) Run(s console) error {
	return c.openReader(s, func(r *trees.Reader) error {
		_, err := fmt.Fprintln(s.out, r.Key.Public())
		return err
	})
}

type auditCheckpointsCommand struct {
	storeFlags `embed:""`
}

func (c auditCheckpointsCommand) Help() string {
	return "Append the output to a file on another machine from time to time; audit verify --checkpoint takes that file."
}

func (c auditCheckpointsCommand) Run(s console) error {
	return c.openReader(s, func(r *trees.Reader) error {
		for _, log := range transparency.Logs() {
			state, err := r.Trees.State(s.ctx, log)
			if domain.KindOf(err) == domain.NotFound {
				continue
			}
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintln(s.out, state.Note); err != nil {
				return err
			}
		}
		return nil
	})
}

// logFlag selects a log.
type logFlag struct {
	Log string `help:"Log: integrations, approvals, calls or access." enum:"integrations,approvals,calls,access" default:"integrations"`
}

type auditExportCommand struct {
	Workspace  string `help:"Only the events of this workspace, and hashes of those of the others."`
	Checkpoint string `help:"File of checkpoints that the export will be verified against; needed with --workspace." type:"path"`
	logFlag    `embed:""`
	storeFlags `embed:""`
}

func (c auditExportCommand) Run(s console) error {
	export := trees.Export{Log: transparency.Log(c.Log)}
	if c.Workspace != "" {
		var err error
		if export.Workspace, err = domain.ParseWorkspace(c.Workspace); err != nil {
			return err
		}
	}
	if c.Checkpoint != "" {
		held, err := readHeld(c.Checkpoint)
		if err != nil {
			return err
		}
		if export.Sizes = transparency.HeldSizes(held, export.Log); len(export.Sizes) == 0 {
			return fmt.Errorf("--checkpoint: %s has no checkpoint of the log %s", c.Checkpoint, c.Log)
		}
	}
	return c.openReader(s, func(r *trees.Reader) error { return r.Export(s.ctx, s.out, export) })
}

type auditVerifyCommand struct {
	Export     string `arg:"" help:"File with the export; - for standard input; or a segment, the folder or s3://BUCKET/PREFIX of an archive."`
	Checkpoint string `help:"File of checkpoints that were held elsewhere." required:"" type:"path"`
	Key        string `help:"Public key of the service, as audit key writes it. Default: the key that the export names, with which the held checkpoints must be signed as well."`
	JSON       bool   `name:"json" help:"Write JSON."`
	logFlag    `embed:""`
}

func (c auditVerifyCommand) Run(s console) (err error) {
	held, err := readHeld(c.Checkpoint)
	if err != nil {
		return err
	}
	var key []byte
	if c.Key != "" {
		if key, err = transparency.ParseKey(c.Key); err != nil {
			return fmt.Errorf("--key: %w", err)
		}
	}
	report, err := verifyExport(s.ctx, c.Export, transparency.Log(c.Log), key, held)
	if err != nil {
		return err
	}
	if c.JSON {
		err = s.writeJSON(report)
	} else {
		err = writeReport(s.out, report)
	}
	if err == nil && !report.OK() {
		return errProblemsFound
	}
	return err
}

// writeReport writes the result of a verification for people.
func writeReport(to io.Writer, r transparency.Report) error {
	var text strings.Builder
	fmt.Fprintf(&text, "%s: %d positions, %d with their events and %d with hashes only; %d held checkpoints\n", r.Log, r.Size, r.Entries, r.Hashes, r.Held)
	for _, f := range r.Findings {
		fmt.Fprintf(&text, "wrong (%s): %s\n", f.Fault, f.Detail)
	}
	switch {
	case !r.OK() && r.Unchanged > 0:
		fmt.Fprintf(&text, "complete and unchanged only to position %d\n", r.Unchanged)
	case !r.OK():
		text.WriteString("nothing is known to be unchanged\n")
	default:
		fmt.Fprintf(&text, "ok: complete and unchanged to position %d\n", r.Unchanged)
		if r.Skipped > 0 {
			fmt.Fprintf(&text, "%d held checkpoints are of other sizes than it can be compared with\n", r.Skipped)
		}
		if r.Size > r.Unchanged {
			fmt.Fprintf(&text, "positions %d to %d are signed by the service only: no checkpoint of them is held\n", r.Unchanged+1, r.Size)
		}
	}
	_, err := io.WriteString(to, text.String())
	return err
}

// readHeld reads a file of checkpoints.
func readHeld(name string) ([]byte, error) {
	f, err := os.Open(name) //nolint:gosec // an operator names it
	if err != nil {
		return nil, fmt.Errorf("--checkpoint: %w", err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	held, err := io.ReadAll(io.LimitReader(f, transparency.MaxHeld+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("--checkpoint: %w", err)
	case len(held) > transparency.MaxHeld:
		return nil, fmt.Errorf("--checkpoint: %s has more than %d MiB", name, transparency.MaxHeld>>20)
	case strings.TrimSpace(string(held)) == "":
		return nil, errors.New("--checkpoint: the file is empty")
	}
	return held, nil
}
