package main

import (
	"slices"
	"testing"
)

func TestPackagesOfAModuleStartBeforeTheOthers(t *testing.T) {
	t.Parallel()
	args := []string{"-race", "./..."}
	for module, want := range map[string][]string{
		"m":             {"m", "-race", "./..."},
		"m:./shop:./ci": {"m", "-race", "./shop", "./ci", "./..."},
	} {
		dir, with := firstPackages(module, args)
		if got := append([]string{dir}, with...); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", module, got, want)
		}
	}
}
