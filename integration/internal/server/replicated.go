package server

import (
	"fmt"
	"strconv"
)

// Replicated are a PostgreSQL with a standby, and a MariaDB, of the test's own.
type Replicated struct {
	Primary string // a URL without TLS, of a superuser
	Standby string // the same, of the server that follows
	MariaDB string // a DSN of an administrator

	servers *Servers
}

// StartReplicated starts them. Stop must be called at the end, also after an
// error.
func StartReplicated() (*Replicated, error) { return startReplicated("postgres", "standby", "mariadb") }

// StartPair starts a PostgreSQL and its standby alone.
func StartPair() (*Replicated, error) { return startReplicated("postgres", "standby") }

func startReplicated(names ...string) (*Replicated, error) {
	r := &Replicated{servers: &Servers{names: names}}
	port, err := freePorts(3)
	if err != nil {
		return r, err
	}
	const postgres = "postgres://entsignal:entsignal@127.0.0.1:%d/entsignal?sslmode=disable"
	r.Primary = fmt.Sprintf(postgres, port)
	r.Standby = fmt.Sprintf(postgres, port+1)
	r.MariaDB = fmt.Sprintf("entsignal:entsignal@tcp(127.0.0.1:%d)/entsignal?parseTime=true", port+2)
	if err := r.servers.makeDir(); err != nil {
		return r, err
	}
	r.servers.setEnv(
		"ENTSIGNAL_SERVICES_POSTGRES_PORT="+strconv.Itoa(port),
		"ENTSIGNAL_SERVICES_STANDBY_PORT="+strconv.Itoa(port+1),
		"ENTSIGNAL_SERVICES_MARIADB_PORT="+strconv.Itoa(port+2),
	)
	if err := r.servers.watch(); err != nil {
		return r, err
	}
	for _, name := range names {
		if name == "standby" { // it copies the first, which has to be there
			continue
		}
		if _, err := r.servers.run("up", name); err != nil {
			return r, err
		}
	}
	_, err = r.servers.run("up", "standby")
	return r, err
}

// Kill ends the named server as a crash does.
func (r *Replicated) Kill(name string) error { return r.servers.Kill(name) }

// Stop stops them.
func (r *Replicated) Stop() error { return r.servers.Stop() }
