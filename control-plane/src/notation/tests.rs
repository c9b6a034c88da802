use serde_json::json;

use super::*;

fn yaml(text: &str) -> Value {
    read_yaml(text.as_bytes()).unwrap().value
}

#[test]
fn merge_keys_are_merged_and_what_stands_beside_them_goes_before() {
    let text = "base: &base {a: 1, b: {c: 2}}\nother: &other {a: 9, d: 4}\none:\n  <<: *base\n  a: 3\nlist:\n  <<: [*base, *other]\n";
    let value = yaml(text);
    assert_eq!(value["one"], json!({ "a": 3, "b": { "c": 2 } }));
    assert_eq!(value["list"], json!({ "a": 1, "b": { "c": 2 }, "d": 4 }));
    assert_eq!(yaml("x: &x {a: 1}\ny: &y {<<: *x, b: 2}\nz: {a: 5, <<: *y}\n")["z"], json!({ "a": 5, "b": 2 }));
    let error = read_yaml(b"a: 1\nb: {<<: 3}\n").unwrap_err();
    assert!(error.message.contains("takes a mapping"), "{error}");
    assert_eq!(read_yaml(b"x: &x {a: 1}\ny: {<<: *x, a: 2}\n").unwrap().duplicates, Vec::<String>::new());
}

#[test]
fn a_key_given_twice_is_told_by_its_path_and_the_last_counts() {
    let json = read_json(br#"{"data":{"a":"1","a":"2","a":"3"},"list":[{},{"env":1,"env":2}],"data2":{}}"#).unwrap();
    assert_eq!(json.duplicates, ["data.a", "list[1].env"]);
    assert_eq!(json.value["data"]["a"], "3");
    assert_eq!(read_yaml(b"data: {a: 1}\nx: 1\ndata: {b: 2}\n").unwrap().duplicates, ["data"]);
    let many: Vec<_> = (0..100).map(|n| format!("k{n}: 1\nk{n}: 2\n")).collect();
    assert_eq!(read_yaml(many.concat().as_bytes()).unwrap().duplicates.len(), MAX_DUPLICATES);
}

#[test]
fn texts_are_cut_where_kubectl_cuts_them() {
    let cut = |text| documents(text).iter().map(|d| (d.first_line, d.text.trim().to_owned())).collect::<Vec<_>>();
    let one = |line: usize, text: &str| (line, text.to_owned());
    assert_eq!(cut("---\n# nothing\n---\na: 1\n---   # b\nb: 2\n...\n---\n---\n"), [one(4, "a: 1"), one(6, "b: 2")]);
    assert_eq!(cut("a: 1\r\n---\r\nb: 2\r\n"), [one(1, "a: 1"), one(3, "b: 2")]);
    assert_eq!(cut("\u{feff}a: 1\n\u{feff}---\n\u{feff}b: 2\n"), [one(1, "a: 1"), one(3, "b: 2")]);
    assert_eq!(cut("%YAML 1.1\n---\na: 1\n"), [one(3, "a: 1")]);
    assert_eq!(cut("a: |\n  ---\n  b\n---x: 1\n"), [one(1, "a: |\n  ---\n  b\n---x: 1")]);
    assert_eq!(cut("--- {a: 1}\n--- {b: 2}\n"), [one(1, "--- {a: 1}"), one(2, "--- {b: 2}")]);
    assert_eq!(cut(""), []);
}

#[test]
fn a_body_is_one_document_whatever_stands_around_it() {
    for text in
        ["\u{feff}a: 1\r\n", "---\na: 1\n---\n# end\n", "%YAML 1.2\n---\na: 1\n...\n", "--- {a: 1}", "{\"a\": 1}"]
    {
        assert_eq!(yaml(text), json!({ "a": 1 }), "{text:?}");
    }
    assert_eq!(yaml("---\n# nothing\n"), Value::Null);
    let error = read_yaml(b"a: 1\n---\nb: 2\n").unwrap_err();
    assert_eq!((error.line, error.message.contains("more than one")), (Some(3), true));
    assert_eq!(read_yaml(b"---\na: 1\n b: 2\n").unwrap_err().line, Some(3));
}

#[test]
fn json_is_read_as_json_also_where_yaml_could_not() {
    let emoji = "{\"a\": \"\\ud83d\\ude00\\/\",\n\t\"b\": 1}\n{\"c\": 2}\n";
    let values: Vec<_> = read_document(emoji).unwrap().into_iter().map(|text| text.value).collect();
    assert_eq!(values, [json!({ "a": "\u{1f600}/", "b": 1 }), json!({ "c": 2 })]);
    assert_eq!(read_document("{a: 1, b: [x]}").unwrap()[0].value, json!({ "a": 1, "b": ["x"] }));
    assert!(read_json(b"{} {}").is_err());
}

#[test]
fn keys_are_texts_and_numbers_are_those_of_json() {
    assert_eq!(yaml("1: a\ntrue: b\n"), json!({ "1": "a", "true": "b" }));
    assert!(read_yaml(b"a: .nan\n").is_err());
}
