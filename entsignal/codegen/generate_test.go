package codegen_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestGeneratedBusIsTheGoldenOne(t *testing.T) {
	t.Parallel()
	for name, folder := range cases(t, "testdata/good") {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProject(t, folder)
			require.NoError(t, p.generate(t))
			golden(t, filepath.Join(folder, "signal_bus.golden"), p.files(t)["signal_bus.go"])
			p.vet(t)
		})
	}
}

func TestPackageStaysAsItIsWhenGeneratedAgain(t *testing.T) {
	t.Parallel()
	p := newProject(t, "testdata/good/tuned")
	require.NoError(t, p.generate(t))
	require.Contains(t, p.files(t)["runtime.go"], "/ent/schema", "a runtime.go that ent marks while it loads the schema")
	before := p.files(t)
	require.NoError(t, p.generate(t))
	assert.Empty(t, differing(before, p.files(t)))

	p.setSchema(t, "testdata/bad/burst_zero")
	before = p.files(t)
	for range 2 {
		require.Error(t, p.generate(t), "a misuse")
		assert.Empty(t, differing(before, p.files(t)))
	}
}

func TestPackageCompilesAfterASignalHasGone(t *testing.T) {
	t.Parallel()
	p := newProject(t, "testdata/good/tuned")
	require.NoError(t, p.generate(t))
	require.Contains(t, p.files(t)["signal_bus.go"], "Measured")
	require.Contains(t, p.files(t)["signal_bus.go"], "ShipmentDue")

	for _, left := range []string{"unsignalled", "deleted"} {
		p.setSchema(t, filepath.Join("testdata/gone", left))
		require.NoError(t, p.generate(t))
		p.vet(t)
	}
	assert.Contains(t, p.files(t)["signal_bus.go"], "func (c *MeasuredClient) Lock")
	assert.NotContains(t, p.files(t)["signal_bus.go"], "func (c *MeasuredClient) Flush")
	assert.NotContains(t, p.files(t)["signal_bus.go"], "ShipmentDue")
	assert.NoFileExists(t, filepath.Join(p.ent(), "shipmentdue.go"))
}

// features are all that ent has. Its sql/multischema comes by itself, of the
// annotations.
var features = []string{
	"privacy", "intercept", "entql", "namedges", "bidiedges", "schema/snapshot", "sql/schemaconfig",
	"sql/lock", "sql/modifier", "sql/execquery", "sql/upsert", "sql/versioned-migration", "sql/globalid",
}

func TestAwkwardNamesCompileWithAllFeatures(t *testing.T) {
	t.Parallel()
	p := newProject(t, "testdata/features")
	require.NoError(t, p.generate(t, features...))
	assert.Contains(t, p.files(t)["signal_bus.go"], `ids "example.com/project/ent/schema/ids-go"`)
	p.vet(t)
}
