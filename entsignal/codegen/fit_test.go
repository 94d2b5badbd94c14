package codegen_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"text/template"

	"entgo.io/ent/entc/gen"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/entsignal/signalbus/entsignal/codegen"
)

func TestEntWithCodeThatTheBusDoesNotFitIsOneSentenceAndLeavesThePackage(t *testing.T) {
	t.Parallel()
	for name, folder := range cases(t, "testdata/unknown") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fresh := newProject(t, "testdata/good/keyed")
			before := fresh.files(t)
			err := fresh.generateWith(t, filepath.Join(folder, "ent"))
			require.Error(t, err)
			golden(t, filepath.Join(folder, "error.txt"), err.Error()+"\n")
			assert.Empty(t, differing(before, fresh.files(t)))

			p := newProject(t, "testdata/good/tuned")
			require.NoError(t, p.generate(t))
			before = p.files(t)
			p.setSchema(t, "testdata/good/keyed")
			assert.EqualError(t, p.generateWith(t, filepath.Join(folder, "ent")), err.Error())
			p.setSchema(t, "testdata/good/tuned")
			assert.Empty(t, differing(before, p.files(t)))
		})
	}
}

func TestEntWithoutWhatTheTemplatesAskItForIsOneSentence(t *testing.T) {
	t.Parallel()
	ex, err := codegen.NewExtension()
	require.NoError(t, err)
	generate := func(err error) error {
		return ex.Hooks()[0](gen.GenerateFunc(func(*gen.Graph) error { return err })).
			Generate(&gen.Graph{Config: &gen.Config{Target: t.TempDir()}})
	}

	failed := template.ExecError{Name: "dialect/sql/create/spec/entsignal", Err: errors.New("can't evaluate field CreateName in type *gen.Type")}
	err = generate(fmt.Errorf("execute template %q: %w", "create", failed))
	assert.ErrorContains(t, err, "the signal bus does not fit the code that this ent generates: ")
	assert.ErrorContains(t, err, failed.Error())

	failed.Name = "the project's"
	assert.Equal(t, failed, generate(failed), "the error of another's template")
}
