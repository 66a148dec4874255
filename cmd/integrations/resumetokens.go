package main

import (
	"fmt"
	"time"
)

// resumeTokensCommand ends the pause of token renewals after a restore.
type resumeTokensCommand struct {
	SoleHolder bool `help:"Confirm that no other installation uses these tokens: the one that was backed up is gone for good."`
	JSON       bool `name:"json" help:"Write JSON."`
	storeFlags `embed:""`
}

func (resumeTokensCommand) Help() string {
	return "A refresh token has one holder: of two installations with the same tokens, each ends those of the other. " +
		"So a service that was restored renews and revokes no token that is older than the restore, until this command is run."
}

// resumedTokens is what --json writes.
type resumedTokens struct {
	PausedSince time.Time `json:"paused_since,omitzero"` // absent: renewals are not paused
	Resumed     bool      `json:"resumed"`
}

func (c resumeTokensCommand) Run(s console) error {
	conn, events, _, err := c.attachLog(s)
	if err != nil {
		return err
	}
	defer conn.Close()
	since, err := events.TokensSharedSince(s.ctx)
	if err != nil {
		return err
	}
	r := resumedTokens{PausedSince: since}
	if !since.IsZero() && c.SoleHolder {
		if err := events.HoldTokens(s.ctx); err != nil {
			return err
		}
		r.Resumed = true
	}
	if c.JSON {
		return s.writeJSON(r)
	}
	switch {
	case since.IsZero():
		_, err = fmt.Fprintln(s.out, "token renewals are not paused")
	case r.Resumed:
		_, err = fmt.Fprintln(s.out, "token renewals are resumed")
	default:
		_, err = fmt.Fprintf(s.out, "renewals of tokens from before %s are paused; run again with --sole-holder once no other installation uses them\n", since.Format(time.RFC3339))
	}
	return err
}
