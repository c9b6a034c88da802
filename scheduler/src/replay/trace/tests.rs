use super::*;

fn error(text: &str) -> String {
    Trace::parse("t.csv", text).unwrap_err().to_string()
}

#[test]
fn calls_by_the_minute_are_read_whatever_columns_are_called() {
    let sample = "HashFunction,HashApp,HashOwner,minute_1,minute_2,minute_3\nf,a,o,2,0,1\ng,a,o,,5.0,\n";
    let original = "HashOwner,HashApp,HashFunction,Trigger,1,2,3\r\no,a,f,http,2,0,1\r\no,a,g,timer,,5,\r\n";
    let (sample, original) = (Trace::parse("s.csv", sample).unwrap(), Trace::parse("o.csv", original).unwrap());
    assert_eq!(sample, original);
    assert_eq!(sample.span, Duration::from_secs(180));
    assert_eq!(sample.functions[1].load, Load::Minutes(vec![0, 5, 0]));
    assert_eq!((sample.functions[0].name.as_str(), sample.functions[0].count()), ("f", 3));
}

#[test]
fn run_times_are_found_by_function_and_application() {
    let mut trace = Trace::parse("t.csv", "HashApp,HashFunction,1\na,f,1\nb,f,1\nb,g,1\n").unwrap();
    let times =
        "HashFunction,HashApp,Average,percentile_Average_0,percentile_Average_100\nf,a,905,493,6925\nf,b,10,,\n";
    trace.add_run_times("r.csv", times).unwrap();
    let means: Vec<_> =
        trace.functions.iter().map(|function| function.mean_service(Duration::from_secs(7)).as_millis()).collect();
    assert_eq!(means, [905, 10, 7000]);
}

#[test]
fn single_calls_begin_before_they_end() {
    let text = "app,func,end_timestamp,duration\na,f,57.157,57.154\na,g,0.05,0.1\na,f,60,0.5\n";
    let trace = Trace::parse("t.csv", text).unwrap();
    let at = |millis| Duration::from_millis(millis);
    let calls = vec![Request { at: at(53), service: at(57_154) }, Request { at: at(59_550), service: at(500) }];
    assert_eq!(trace.functions[0].load, Load::Requests(calls), "the first of all had begun 50 ms before the trace");
    assert_eq!((trace.functions.len(), trace.span), (2, at(60_050)));
}

#[test]
fn minutes_of_a_service_that_are_left_out_are_empty() {
    let trace = Trace::parse("day.csv", "period,count\n1998-05-12 23:58:00,7\n1998-05-13 00:01:00,9\n").unwrap();
    assert_eq!(trace.functions[0].load, Load::Minutes(vec![7, 0, 0, 9]));
    assert_eq!(trace.functions[0].name, "day");
}

#[test]
fn what_is_wrong_is_told_by_line_and_column() {
    let expected = "t.csv:3:4: `x` in column `2`: expected a whole number of requests, or nothing";
    assert_eq!(error("HashFunction,HashApp,1,2\nf,a,1,2\ng,a,1,x\n"), expected);
    assert_eq!(error("app,func,end_timestamp,duration\na,f,1\n"), "t.csv:2:4: 3 cells: expected 4, as the header has");
    assert!(error("app,func,end_timestamp,duration\na,f,1,-1\n").starts_with("t.csv:2:4: `-1` in column `duration`"));
    assert!(error("app,func,end_timestamp\n").contains("there is no column `duration`"));
    assert!(error("period,count\n1998-05-12 00:01:00,1\n1998-05-12 00:00:00,1\n").starts_with("t.csv:3:1: "));
    assert!(error("period,count\n").starts_with("t.csv:2:1: there is nothing"));
    assert!(error("HashFunction,Average\nf,1\n").contains("--durations"));
    assert!(error("what,ever\n1,2\n").starts_with("t.csv:1:1: `what,ever` is no header"));
    assert!(error("").starts_with("t.csv:1:1: "));
}
