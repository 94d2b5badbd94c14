//go:build unix

package database

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func database(t *testing.T, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "shop.db")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	require.NoError(t, os.Chmod(path, mode))
	return path
}

func statOf(t *testing.T, path string) (os.FileMode, *syscall.Stat_t) {
	t.Helper()
	info, err := os.Lstat(path)
	require.NoError(t, err)
	return info.Mode(), info.Sys().(*syscall.Stat_t)
}

func TestLockFileIsForEveryUserOfTheDatabase(t *testing.T) {
	path := database(t, 0o666) // more than any umask leaves
	if os.Geteuid() == 0 {
		require.NoError(t, os.Chown(path, 12345, 23456))
	}
	l := newLockFile(path)
	require.NoError(t, l.lock(t.Context()))
	t.Cleanup(func() { _ = l.Unlock() })

	_, want := statOf(t, path)
	mode, stat := statOf(t, l.Path())
	assert.Equal(t, os.FileMode(0o666), mode)
	assert.Equal(t, want.Uid, stat.Uid)
	assert.Equal(t, want.Gid, stat.Gid)
}

func TestLockFileOfAnotherModeIsMendedByItsOwner(t *testing.T) {
	path := database(t, 0o664)
	require.NoError(t, os.WriteFile(path+lockFileSuffix, nil, 0o600))
	l := newLockFile(path)
	require.NoError(t, l.lock(t.Context()))
	require.NoError(t, l.Unlock())
	mode, _ := statOf(t, l.Path())
	assert.Equal(t, os.FileMode(0o664), mode)
}

func TestLockFileThatIsALinkIsRefused(t *testing.T) {
	for name, target := range map[string]string{"of a file": "precious", "of nothing": "gone"} {
		t.Run(name, func(t *testing.T) {
			path := database(t, 0o666)
			precious := filepath.Join(filepath.Dir(path), "precious")
			require.NoError(t, os.WriteFile(precious, []byte("kept"), 0o600))
			require.NoError(t, os.Symlink(filepath.Join(filepath.Dir(path), target), path+lockFileSuffix))

			err := newLockFile(path).lock(t.Context())
			assert.ErrorContains(t, err, "it is not a regular file but L---------; remove it")
			mode, _ := statOf(t, precious)
			assert.Equal(t, os.FileMode(0o600), mode, "what it points to is left alone")
			assert.NoFileExists(t, filepath.Join(filepath.Dir(path), "gone"))
		})
	}
}
