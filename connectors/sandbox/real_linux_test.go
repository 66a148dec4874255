package sandbox

import (
	"os/exec"
	"path/filepath"
	"testing"
)

func TestARealProgramFindsWhatItNeeds(t *testing.T) {
	for name, script := range map[string]string{
		"node": "const fs = require('fs'), { Worker } = require('worker_threads'); fs.writeFileSync('a', 'copied'); fs.copyFileSync('a', 'b');" +
			"new Worker('require(\"worker_threads\").parentPort.postMessage(1)', { eval: true }).on('message', () =>" +
			"process.stdout.write(fs.readFileSync('b', 'utf8') + require('child_process').execFileSync('/bin/echo', ['child']).toString()))",
		"python3": "import subprocess, threading; open('a', 'w').write('copied'); t = threading.Thread(target=lambda: None); t.start(); t.join();" +
			"import shutil; shutil.copyfile('a', 'b'); print(open('b').read() + subprocess.run(['/bin/echo', 'child'], capture_output=True, text=True).stdout, end='')",
	} {
		path, err := exec.LookPath("/usr/bin/" + name)
		if err != nil {
			t.Logf("NOT TESTED WITH %s: it is not in /usr/bin", name)
			continue
		}
		if path, err = filepath.EvalSymlinks(path); err != nil {
			t.Fatal(err)
		}
		flag := map[string]string{"node": "-e", "python3": "-c"}[name]
		inEach(t, func(t *testing.T, s Sandbox) {
			c := shell("")
			c.Executable, c.Args, c.Limits.OpenFiles, c.Limits.Processes = path, []string{flag, script}, 256, 32
			if output, why := outputOf(t, s, c); output != "copiedchild\n" {
				t.Errorf("%s printed %q: %s", name, output, why)
			}
		})
	}
}
