package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"entgo.io/ent/entc/gen"
	"entgo.io/ent/schema/field"

	"github.com/entsignal/signalbus/entsignal"
	"github.com/entsignal/signalbus/entsignal/codegen"
)

// testFile is where init --test writes the first test.
var testFile = filepath.Join(sendersDir, "signals_test.go")

// errNoSignal is the error of init --test in a project without a signal.
var errNoSignal = errors.New("--test: the schema has no signal yet; add one by entsignal new NAME, then run init --test again; nothing was written")

// firstTest is what the template of the first test is given.
type firstTest struct {
	programData
	Signal    string
	AutoFlush bool
	Setters   string   // .SetNumber(1).SetCustomer("test")
	Imports   []string // of the values
	Missing   []string // required, and nobody knows their value
}

// planTest plans a test of the first signal that a commit sends, else of the first
// signal. One that is there is kept.
func planTest(d dirs, data programData) (step, error) {
	if exists(testFile) {
		return step{path: testFile, do: toKeep, note: "the test exists"}, nil
	}
	graph, err := loadGraph(d)
	if err != nil {
		return step{}, err
	}
	infos, err := codegen.Signals(graph)
	if err != nil {
		return step{}, err
	}
	if len(infos) == 0 {
		return step{}, errNoSignal
	}
	info := infos[max(0, slices.IndexFunc(infos, func(i entsignal.Info) bool { return i.AutoFlush }))]
	data.database = databases["sqlite"]
	t := firstTest{programData: data, Signal: info.Name, AutoFlush: info.AutoFlush}
	for _, node := range graph.Nodes {
		if node.Name == info.Name {
			t.set(node)
		}
	}
	content, err := executed(testTemplate, t)
	return step{path: testFile, do: toCreate, content: content}, err
}

// set finds values for what a new signal requires.
func (t *firstTest) set(node *gen.Type) {
	var fields []*gen.Field
	if id := node.ID; id != nil && id.UserDefined && !id.Default && !id.Type.Type.Integer() {
		fields = append(fields, id)
	}
	for _, f := range append(fields, node.Fields...) {
		if f.Optional || f.Default {
			continue
		}
		value := ""
		switch kind := f.Type.Type; {
		case f.HasGoType():
		case kind == field.TypeString && !f.IsEnum():
			value = `"test"`
		case kind.Integer():
			value = "1"
		case kind.Float():
			value = "1.5"
		case kind == field.TypeBool:
			value = "true"
		case kind == field.TypeTime:
			value, t.Imports = "time.Now()", []string{"time"}
		}
		setter := "Set" + f.StructField()
		if value == "" {
			t.Missing = append(t.Missing, setter)
			continue
		}
		t.Setters += fmt.Sprintf(".%s(%s)", setter, value)
	}
	for _, e := range node.Edges {
		if !e.Optional && !slices.ContainsFunc(node.Fields, func(f *gen.Field) bool { return f.IsEdgeField() && strings.EqualFold(f.Name, e.Name+"_id") }) {
			t.Missing = append(t.Missing, "Set"+e.StructField()+"ID")
		}
	}
}

// testTemplate is the first test. It compiles as soon as the code is generated, and
// passes unless the signal requires what only its project knows.
const testTemplate = `package senders

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"
	{{- range .Imports }}
	"{{ . }}"
	{{- end }}

	"entgo.io/ent/dialect"
	entsql "entgo.io/ent/dialect/sql"
	"github.com/entsignal/signalbus/entsignal/entsignaltest"
	_ "{{ .Driver }}"

	{{ .Alias }}"{{ .Package }}"
	_ "{{ .Package }}/runtime"
)

// A commit sends its signals: here to senders that record them. More of what tests
// can do is in docs/testing.md of github.com/entsignal/signalbus.
func Test{{ .Signal }}IsSent(t *testing.T) {
	recorded, outbox := entsignaltest.Senders[ent.SignalSenders](t)
	bus, err := ent.NewSignalBus(recorded, outbox.Option())
	if err != nil {
		t.Fatal(err)
	}
	dsn := "file:" + filepath.Join(t.TempDir(), "test.db") +
		"?_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=busy_timeout(5000)&_pragma=foreign_keys(1)"
	db, err := sql.Open("{{ .Opened }}", dsn)
	if err != nil {
		t.Fatal(err)
	}
	client := ent.NewClient(ent.Driver(entsql.OpenDB(dialect.{{ .Dialect }}, db)), ent.WithSignalBus(bus))
	t.Cleanup(func() { client.Close() })
	if err := client.Schema.Create(t.Context()); err != nil {
		t.Fatal(err)
	}

	// Call your own code here, which records the signal in its transaction.
	err = client.Atomic(t.Context(), func(ctx context.Context, tx *ent.Tx) error {
		{{- range .Missing }}
		// The signal requires {{ . }}, too.
		{{- end }}
		return tx.{{ .Signal }}.Create(){{ .Setters }}.Exec(ctx)
	})
	if err != nil {
		t.Fatal(err)
	}
	{{- if not .AutoFlush }}

	// Its autoflush is off: a flush sends it.
	if err := outbox.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	{{- end }}

	sent := entsignaltest.One[*ent.{{ .Signal }}](outbox)
	t.Log("sent:", sent)
}
`
