package embeddednats

import "github.com/nats-io/nats-server/v2/server"

// Of returns a Server around one that was not started.
func Of(dir string, srv *server.Server) *Server {
	s := &Server{dir: dir}
	s.current.Store(srv)
	return s
}
