//go:build ignore

// Pocketbase is PocketBase as it comes. With SYNCHRONOUS=FULL it syncs each write, as the service does.
package main

import (
	"log"
	"os"

	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase"
	"github.com/pocketbase/pocketbase/core"
)

func main() {
	config := pocketbase.Config{}
	if mode := os.Getenv("SYNCHRONOUS"); mode != "" {
		config.DBConnect = func(path string) (*dbx.DB, error) {
			db, err := core.DefaultDBConnect(path)
			if err != nil {
				return nil, err
			}
			_ = db.Close()
			return dbx.Open("sqlite", path+"?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=journal_size_limit(200000000)"+
				"&_pragma=synchronous("+mode+")&_pragma=foreign_keys(ON)&_pragma=temp_store(MEMORY)&_pragma=cache_size(-32000)")
		}
	}
	if err := pocketbase.NewWithConfig(config).Start(); err != nil {
		log.Fatal(err)
	}
}
