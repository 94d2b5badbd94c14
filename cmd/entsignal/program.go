package main

import (
	"bytes"
	"go/format"
	"go/parser"
	"go/token"
	"path"
	"path/filepath"
	"strings"
	"text/template"
)

// planProgram plans the project's flush program.
func planProgram(d dirs) (step, error) {
	dir := filepath.Join("cmd", "signalbus")
	name := filepath.Join(dir, "main.go")
	there, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return step{}, err
	}
	if len(there) > 0 {
		return step{path: there[0], do: toKeep, note: "the program is there"}, nil
	}
	pkg, err := importPath(d.ent)
	if err != nil {
		return step{}, err
	}
	content, err := programOf(pkg)
	if err != nil {
		return step{}, err
	}
	return step{path: name, do: toCreate, content: content}, nil
}

// programOf returns the flush program of the project whose generated package
// has that import path.
func programOf(pkg string) ([]byte, error) {
	tmpl, err := template.New("program").Parse(programTemplate)
	if err != nil {
		return nil, err
	}
	alias := ""
	if path.Base(pkg) != "ent" {
		alias = "ent "
	}
	var b bytes.Buffer
	if err := tmpl.Execute(&b, map[string]string{"Package": pkg, "Alias": alias}); err != nil {
		return nil, err
	}
	return format.Source(b.Bytes())
}

// packageName returns the name of the generated package in a folder, which
// may have no Go file yet. ent makes it of the folder's name.
func packageName(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	files, err := filepath.Glob(filepath.Join(abs, "*.go"))
	if err != nil {
		return "", err
	}
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.PackageClauseOnly)
		if err == nil && f.Name.Name != "main" && !strings.HasSuffix(f.Name.Name, "_test") {
			return f.Name.Name, nil
		}
	}
	return strings.ReplaceAll(filepath.Base(abs), "-", "_"), nil
}

// programTemplate is the flush program. It compiles as soon as the code is
// generated, with no signal too. While senders are missing it says which and
// fails: a flush that silently sends nothing would be worse.
const programTemplate = `// Command signalbus flushes the signals of this project: what autoflushes left
// behind, backlogs, and signals whose order matters. See "signalbus --help".
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/entsignal/signalbus/cmd/signalcli"
	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/pqconn"

	{{ .Alias }}"{{ .Package }}"
)

func main() {
	os.Exit(signalcli.ExitCode(signalcli.Command(open).Execute()))
}

// newBus returns the bus with the senders of the project. Every signal needs
// one; until then each command fails and names those without. To flush only
// some of them here, give the option entsignal.WithMissingSenders().
func newBus() (*entsignal.Bus, error) {
	return ent.NewSignalBus(ent.SignalSenders{
		// A sender returns nil only when the broker has stored the message:
		//
		//	OrderPlaced: entsignal.Each(func(ctx context.Context, s *ent.OrderPlaced) error {
		//		return publish(ctx, s)
		//	}),
		//
		// For RabbitMQ see rabbitmq.Sender of
		// github.com/entsignal/signalbus/entsignal/rabbitmq.
	})
}

// open returns the bus on the database at DATABASE_URL, and what closes it.
//
// It is PostgreSQL, by lib/pq with timeouts that hold on a dead network too.
// For another database, open it by database/sql in place of pqconn, import its
// driver and name its dialect:
//
//	sql.Open("mysql", url)    _ "github.com/go-sql-driver/mysql"    dialect.MySQL
//	sql.Open("sqlite", url)   _ "modernc.org/sqlite"                dialect.SQLite
//	sql.Open("pgx", url)      _ "github.com/jackc/pgx/v5/stdlib"    dialect.Postgres
func open(context.Context) (*entsignal.Bus, func() error, error) {
	bus, err := newBus()
	if err != nil {
		return nil, nil, err
	}
	db, err := pqconn.Open(os.Getenv("DATABASE_URL"))
	if err != nil {
		return nil, nil, fmt.Errorf("DATABASE_URL: %w", err)
	}
	// After a failover the address may lead to another server.
	db.SetConnMaxLifetime(5 * time.Minute)
	client := ent.NewClient(ent.Driver(entsql.OpenDB(dialect.Postgres, db)), ent.WithSignalBus(bus))
	return bus, client.Close, nil
}
`
