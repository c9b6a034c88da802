use std::{
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::{
    kubectl::with_hello,
    sampan::{command, succeed},
};

/// A shell whose `sampan` is the program under test, where `KUBECONFIG` is of the server.
fn shell(program: &str, data_dir: &Path) -> Command {
    let own = command(&[]);
    let folder = Path::new(own.get_program()).parent().expect("a folder").to_owned();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap_or_default());
    let mut shell = Command::new(program);
    shell.env("PATH", path).env("SAMPAN_DATA_DIR", data_dir).env_remove("KUBECONFIG").env_remove("SAMPAN_NAMESPACE");
    shell.env("HOME", data_dir).env("TERM", "dumb").stdin(Stdio::null());
    shell
}

/// What a bash that has loaded the script offers for a line whose end is where the cursor stands.
fn in_bash(data_dir: &Path, line: &str) -> Vec<String> {
    // As readline does: words end at blanks and, each by itself, at characters of COMP_WORDBREAKS.
    const ASK: &str = r#"
source <(sampan completion bash)
COMP_LINE=$1 COMP_POINT=${#1} COMP_TYPE=9 COMP_KEY=9
COMP_WORDS=()
for word in $1; do
    while [[ $word == *[:=]* ]]; do
        head=${word%%[:=]*}; rest=${word#"$head"}
        [[ -n $head ]] && COMP_WORDS+=("$head")
        COMP_WORDS+=("${rest:0:1}"); word=${rest:1}
    done
    [[ -n $word ]] && COMP_WORDS+=("$word")
done
[[ $1 == *' ' ]] && COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
current=${COMP_WORDS[COMP_CWORD]}
[[ $current == [:=] ]] && current=
complete -p sampan >/dev/null || exit 1
_sampan_complete sampan "$current" "${COMP_WORDS[COMP_CWORD-1]}"
printf '%s\n' "${COMPREPLY[@]}"
"#;
    let output = shell("bash", data_dir).args(["--norc", "-c", ASK, "bash", line]).output().expect("bash starts");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{line}");
    succeed(line, output).lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_flags_and_names_that_the_server_knows() {
    let folder = tempfile::tempdir().expect("a folder");
    let sampan = with_hello(folder.path());
    let offers = |line: &str| in_bash(folder.path(), line);
    let has = |line: &str, one: &str| {
        let all = offers(line);
        assert!(all.iter().any(|offer| offer == one), "`{line}` offers {all:?}, not {one}");
    };
    has("sampan des", "describe");
    has("sampan rollout ", "undo");
    has("sampan events --w", "--watch");
    has("sampan completion ", "fish");
    has("sampan get dep", "deployments");
    has("sampan get deployments ", "hello");
    has("sampan get deployment/", "deployment/hello");
    has("sampan describe service h", "hello");
    has("sampan get pods -n de", "default");
    has("sampan get pods --namespace=", "default");
    has("sampan get pods -o cus", "custom-columns=");
    has("sampan logs he", "hello");
    has("sampan rollout status ", "deployment/hello");
    has("sampan scale deployment ", "hello");
    has("sampan port-forward ser", "service/hello");
    has("sampan port-forward deployment/", "deployment/hello");
    has("sampan events --for deployment/", "deployment/hello");
    has("sampan verify he", "hello:dev");
    // Bash keeps what stands before the colon.
    has("sampan verify hello:", "dev");
    let node = sampan.cli_ok(&["get", "nodes", "-o", "jsonpath={.items[0].metadata.name}"]);
    has("sampan drain ", &node);
    assert!(!offers("sampan ").iter().any(|offer| offer.contains("compile-server")));
    // Flags come with the first dash, or where nothing else is left.
    assert_eq!(offers("sampan get deployments "), ["hello"]);
    assert!(offers("sampan get deployments -n kube-system ").iter().all(|offer| offer.starts_with('-')));
    let pods = offers("sampan logs hello-");
    assert!(pods.iter().any(|pod| pod.starts_with("hello-")), "{pods:?}");
}

#[test]
fn without_a_server_names_are_not_offered_and_nothing_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    assert_eq!(in_bash(folder.path(), "sampan get po"), [""; 0], "no server has run");
    assert!(in_bash(folder.path(), "sampan des").contains(&"describe".to_owned()));
    // One that is there and does not answer is not waited for long.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let config = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{{name: c, cluster: {{server: \"https://{}\"}}}}]\n\
         contexts: [{{name: c, context: {{cluster: c, user: u}}}}]\nusers: [{{name: u, user: {{}}}}]\n",
        silent.local_addr().expect("an address")
    );
    std::fs::write(folder.path().join("kubeconfig"), config).expect("a file");
    let began = Instant::now();
    assert!(in_bash(folder.path(), "sampan get po").is_empty());
    assert!(began.elapsed() < Duration::from_secs(60), "a stuck server would hold the shell for ever");
}

/// Debian has these as packages; where they are not installed, they are not tried.
fn is_installed(shell: &str) -> bool {
    let there = Command::new(shell).arg("--version").output().is_ok_and(|output| output.status.success());
    if !there {
        eprintln!("{shell} is not installed: its completion is not tried");
    }
    there
}

#[test]
fn fish_completes() {
    if !is_installed("fish") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let _sampan = with_hello(folder.path());
    let offers = |line: &str| {
        let ask = format!("sampan completion fish | source; complete -C '{line}'");
        succeed(line, shell("fish", folder.path()).args(["--no-config", "-c", &ask]).output().expect("fish starts"))
    };
    assert!(offers("sampan des").contains("describe"), "{}", offers("sampan des"));
    assert!(offers("sampan get deployments ").contains("hello"));
    assert!(offers("sampan verify hello:").contains("hello:dev"));
}

#[test]
fn zsh_completes() {
    if !is_installed("zsh") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let _sampan = with_hello(folder.path());
    // What completion would show is taken where it is handed to zsh.
    let offers = |line: &str| {
        let ask = format!(
            "autoload -Uz compinit && compinit -u -D; source <(sampan completion zsh)\n\
             _describe() {{ local list=${{@[-1]}}; [[ $list == / ]] && list=$4; print -l -- ${{(P)list}} }}\n\
             words=({line}); [[ '{line}' == *' ' ]] && words+=(''); CURRENT=$#words\n\
             _clap_dynamic_completer_sampan"
        );
        succeed(line, shell("zsh", folder.path()).args(["-f", "-c", &ask]).output().expect("zsh starts"))
    };
    assert!(offers("sampan des").contains("describe"), "{}", offers("sampan des"));
    assert!(offers("sampan get deployments ").contains("hello"), "{}", offers("sampan get deployments "));
}
