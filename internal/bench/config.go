package bench

import (
	"io"
	"time"
)

// Config configures a run.
type Config struct {
	Program     string        // this program, which is started as the service and as what stands beside it
	Rows        []string      // names of rows, or of groups such as creates; none: all of them
	Size        int           // integrations of the service that reads are measured on
	For         time.Duration // of one repetition
	Repetitions int           // of each row, at least 3
	Progress    io.Writer
}
