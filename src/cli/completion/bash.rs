//! Bash takes `:` and `=` for ends of words, which names of images and `--flag=VALUE` contain.

use std::{
    ffi::OsString,
    io::{Error, Write},
    path::Path,
};

use clap_complete::env::EnvCompleter;

/// Where completions are told how many words come before the one that is completed.
const INDEX: &str = "_CLAP_COMPLETE_INDEX";

const SCRIPT: &str = r#"_sampan_complete() {
    # Words that were split at : and = are put together again.
    local words=() word before="" split=0 i
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if ((i == COMP_CWORD)) && [[ $word != [:=] ]]; then
            word=$2
        fi
        if ((${#words[@]} > 0)) && { ((split)) || [[ $word == [:=]* ]]; }; then
            words[${#words[@]}-1]+=$word
        else
            words+=("$word")
        fi
        [[ $word == *[:=] ]] && split=1 || split=0
    done
    local last=${words[${#words[@]}-1]}
    # What bash takes for words of their own stays as it is.
    case $COMP_WORDBREAKS in
        *:*) [[ $last == *:* ]] && before=${last%"${last##*:}"} ;;
    esac
    case $COMP_WORDBREAKS in
        *=*) [[ ${last#"$before"} == *=* ]] && before=${last%"${last##*=}"} ;;
    esac
    local IFS=$'\n'
    COMPREPLY=($(VARIABLE=bash _CLAP_COMPLETE_INDEX=$((${#words[@]} - 1)) COMPLETER -- "${words[@]}" 2>/dev/null))
    COMPREPLY=("${COMPREPLY[@]#"$before"}")
    # After a part of a word more is to come.
    if ((${#COMPREPLY[@]} == 1)) && [[ ${COMPREPLY[0]} == *[=/:] ]]; then
        compopt -o nospace 2>/dev/null
    fi
}
complete -o bashdefault -o nosort -F _sampan_complete BIN 2>/dev/null || complete -o bashdefault -F _sampan_complete BIN
"#;

/// Bash.
pub(super) struct Bash;

impl EnvCompleter for Bash {
    fn name(&self) -> &'static str {
        "bash"
    }

    fn is(&self, name: &str) -> bool {
        name == "bash"
    }

    fn write_registration(
        &self,
        variable: &str,
        _: &str,
        program: &str,
        completer: &str,
        out: &mut dyn Write,
    ) -> Result<(), Error> {
        let script = SCRIPT.replace("VARIABLE", variable).replace("COMPLETER", completer).replace("BIN", program);
        out.write_all(script.as_bytes())
    }

    fn write_complete(
        &self,
        command: &mut clap::Command,
        words: Vec<OsString>,
        folder: Option<&Path>,
        out: &mut dyn Write,
    ) -> Result<(), Error> {
        let index = std::env::var(INDEX).ok().and_then(|index| index.parse().ok()).unwrap_or_default();
        for candidate in clap_complete::engine::complete(command, words, index, folder)? {
            writeln!(out, "{}", candidate.get_value().to_string_lossy())?;
        }
        Ok(())
    }
}
