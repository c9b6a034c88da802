//! Traces of traffic, read from the formats in which they were published.

mod error;
mod format;
mod invocations;
mod minutes;
mod moment;
mod run_times;
mod service_time;
mod table;

#[cfg(test)]
mod tests;

use std::time::Duration;

use super::Request;

pub use error::TraceError;
pub use service_time::ServiceTime;

/// Traffic of one or more functions over some time.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    /// In the order of the file.
    pub functions: Vec<Function>,
    /// How long it is.
    pub span: Duration,
}

/// Traffic of one function, or of one service.
#[derive(Debug, Clone, PartialEq)]
pub struct Function {
    /// What the trace calls it.
    pub name: String,
    /// To which application it belongs, if the trace says so.
    pub app: Option<String>,
    /// When it was called.
    pub load: Load,
    /// How long its requests are worked on, where the trace does not say it of each; `None`: the trace says nothing.
    pub service: Option<ServiceTime>,
}

/// When a function was called.
#[derive(Debug, Clone, PartialEq)]
pub enum Load {
    /// So many times in each minute.
    Minutes(Vec<u32>),
    /// Each call, in order of arrival.
    Requests(Vec<Request>),
}

impl Trace {
    /// Reads a trace of which the header tells the format: Azure Functions 2019 (calls for each minute), Azure Functions 2021
    /// (single calls), or the World Cup's requests for each minute. `file` is what errors call it.
    ///
    /// # Errors
    ///
    /// The first line that is not of the format, by line and column, and what would be.
    pub fn parse(file: &str, text: &str) -> Result<Self, TraceError> {
        format::parse(file, text)
    }

    /// Adds how long the functions run, from the companion of an Azure Functions 2019 trace: one line for each function, with
    /// an average and percentiles in milliseconds. Functions that it does not name stay as they are.
    ///
    /// # Errors
    ///
    /// As [`Trace::parse`].
    pub fn add_run_times(&mut self, file: &str, text: &str) -> Result<(), TraceError> {
        let known = run_times::parse(file, text)?;
        for function in &mut self.functions {
            if let Some(service) = known.of(function) {
                function.service = Some(service.clone());
            }
        }
        Ok(())
    }
}

impl Function {
    /// How many times it is called.
    pub fn count(&self) -> u64 {
        match &self.load {
            Load::Minutes(minutes) => minutes.iter().map(|count| u64::from(*count)).sum(),
            Load::Requests(requests) => requests.len() as u64,
        }
    }

    /// How long one of its requests is worked on, on average; `otherwise` where the trace says nothing.
    pub fn mean_service(&self, otherwise: Duration) -> Duration {
        if let Load::Requests(requests) = &self.load {
            let sum: Duration = requests.iter().map(|request| request.service).sum();
            return sum / u32::try_from(requests.len().max(1)).unwrap_or(u32::MAX);
        }
        self.service.as_ref().map_or(otherwise, ServiceTime::mean)
    }
}
