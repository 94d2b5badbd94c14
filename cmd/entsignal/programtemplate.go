package main

// programData is what the templates of the flush program are given.
type programData struct {
	database
	Package string // import path of the generated code
	Alias   string // its name in front of the import, if it isn't ent
	Senders string // import path of the senders
}

// database is one that --database names.
type database struct {
	Name    string // for people
	Driver  string // import path; empty: by pqconn
	Dialect string // the constant of ent's package dialect
	Opened  string // the name that the driver has in database/sql
	URL     string // an example
	Lives   bool   // whether connections need a lifetime
}

var databases = map[string]database{
	"postgres": {
		Name: "PostgreSQL", Dialect: "Postgres", Lives: true,
		URL: "postgres://shop:secret@localhost:5432/shop?sslmode=disable",
	},
	"mysql": {
		Name: "MySQL or MariaDB", Dialect: "MySQL", Lives: true,
		Driver: "github.com/go-sql-driver/mysql", Opened: "mysql",
		URL: "shop:secret@tcp(localhost:3306)/shop?parseTime=true",
	},
	"sqlite": {
		Name: "SQLite", Dialect: "SQLite",
		Driver: "modernc.org/sqlite", Opened: "sqlite",
		URL: "file:shop.db?_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)",
	},
}

// programTemplate is the flush program. It compiles as soon as the code is
// generated, with no signal too. While senders are missing it says which and
// fails: a flush that silently sends nothing would be worse.
const programTemplate = `// Command signalbus flushes the signals of this project: those that autoflushes
// left behind, backlogs, and signals whose order matters. See "signalbus --help".
package main

import (
	"context"
	{{- if .Driver }}
	"database/sql"
	"errors"
	{{- end }}
	"fmt"
	"log/slog"
	"os"
	{{- if .Lives }}
	"time"
	{{- end }}

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/entsignal/signalbus/cmd/signalcli"
	"github.com/entsignal/signalbus/entsignal"
	{{- if .Driver }}
	_ "{{ .Driver }}"
	{{- else }}
	"github.com/entsignal/signalbus/entsignal/pqconn"
	{{- end }}

	{{ .Alias }}"{{ .Package }}"
	// The hooks, policies and defaults of the schema. ent always generates this
	// package; it is empty if the schema doesn't need it.
	_ "{{ .Package }}/runtime"
	"{{ .Senders }}"
)

func main() {
	os.Exit(signalcli.ExitCode(signalcli.Command(open).Execute()))
}

// open returns the bus on the database at DATABASE_URL, and a function that closes
// it. Every signal needs a sender; while one is missing, each command fails and
// names the signal. To flush only some of the signals with this program, give
// NewSignalBus the option entsignal.WithMissingSenders().
func open(context.Context) (*entsignal.Bus, func() error, error) {
	all, err := senders.New()
	if err != nil {
		return nil, nil, fmt.Errorf("senders: %w", err)
	}
	bus, err := ent.NewSignalBus(all, entsignal.WithLogger(slog.Default()))
	if err != nil {
		return nil, nil, err
	}
	{{- if .Driver }}
	// {{ .Name }}, such as
	// {{ .URL }}
	url := os.Getenv("DATABASE_URL")
	if url == "" {
		return nil, nil, errors.New("DATABASE_URL is empty; expected the address of the database")
	}
	db, err := sql.Open("{{ .Opened }}", url)
	{{- else }}
	// {{ .Name }}, such as
	// {{ .URL }}
	// through lib/pq, with timeouts that also work on a dead network. For pgx, import
	// _ "github.com/jackc/pgx/v5/stdlib", and open it with sql.Open("pgx", url).
	db, err := pqconn.Open(os.Getenv("DATABASE_URL"))
	{{- end }}
	if err != nil {
		return nil, nil, fmt.Errorf("DATABASE_URL: %w", err)
	}
	{{- if .Lives }}
	db.SetConnMaxLifetime(5 * time.Minute) // after a failover the address may lead to another server
	{{- end }}
	client := ent.NewClient(ent.Driver(entsql.OpenDB(dialect.{{ .Dialect }}, db)), ent.WithSignalBus(bus))
	return bus, client.Close, nil
}
`

// sendersTemplate is the package with the senders, for the flush program and the
// other programs of the project.
const sendersTemplate = `// Package senders has the senders of this project's signals, for all of its
// programs.
package senders

import (
	{{ .Alias }}"{{ .Package }}"
)

// New returns a sender for each signal. A sender returns nil only when the broker
// has stored the message:
//
//	OrderPlaced: entsignal.Each(func(ctx context.Context, s *ent.OrderPlaced) error {
//		return publish(ctx, s)
//	}),
//
// For RabbitMQ see rabbitmq.Sender of
// github.com/entsignal/signalbus/entsignal/rabbitmq.
func New() (ent.SignalSenders, error) {
	return ent.SignalSenders{}, nil
}
`
